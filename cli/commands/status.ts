import type { Command } from 'commander';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { kindTable } from '../kinds/kind.ts';
import { SWARMS } from '../kinds/swarms.ts';
import { allAgents, allSwarms, TASK_STATES, taskCounts } from '../queries.ts';
import { word } from '../values.ts';
import { wrappedFacts } from '../wrapped-table.ts';

export function addStatus(program: Command): void {
  program.command('status').description('what runs where, and how it is').action(action(status));
}

async function status(context: Context): Promise<void> {
  await withHive(context, async (hive) => {
    const [{ federations }, swarms, agents, tasks, { leases }] = await Promise.all([
      hive.registry.listFederations({}),
      allSwarms(hive),
      allAgents(hive),
      taskCounts(hive),
      hive.pool.listLeases({}),
    ]);
    const { run } = context;
    const server = { url: context.nats, version: hive.nc.info?.version ?? '' };
    const grpc = run?.nats === context.nats ? run.grpc : undefined;
    const ready = agents.filter((agent) => agent.state === 'AGENT_STATE_READY').length;
    const data = {
      context: context.context,
      nats: server,
      grpc,
      federation: context.federation,
      federations: federations.map((each) => each.name),
      swarms: swarms.map(({ name, liveness }) => ({ name, liveness })),
      agents: { total: agents.length, ready, lent: leases.length },
      tasks,
    };
    context.output.data(data, () => {
      const facts = wrappedFacts([
        ...(context.context === '' ? [] : ([['context', context.context]] as [string, string][])),
        ['nats', `${server.url} (nats-server ${server.version})`],
        ['grpc', grpc ?? '-'],
        ['federation', `${context.federation} (of ${data.federations.join(', ')})`],
        ['agents', `${agents.length}, ${ready} ready, ${leases.length} lent`],
        ['tasks', TASK_STATES.map((state) => `${tasks[state]} ${word(state, 'TASK_STATE')}`).join(', ')],
      ]);
      return `${facts}\n\n${kindTable(SWARMS, swarms)}`;
    });
  });
}
