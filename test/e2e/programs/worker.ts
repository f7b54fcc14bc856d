import { parseArgs } from 'node:util';
import { pause, systemClock } from '../../../libs/kernel/clock.ts';
import { HiveError } from '../../../libs/kernel/errors.ts';
import { createAgent } from '../../../libs/sdk/agent.ts';
import { connect } from '../../../libs/sdk/connect.ts';
import type { AgentTask } from '../../../libs/sdk/task.ts';
import { endingOf, type Work } from '../work.ts';

/** An agent process, whose tasks say by their payload how long they take and how they end. Its swarm's key lies in `home`. */
const { servers, home, swarm, type, name, slots } = parseArgs({
  options: {
    servers: { type: 'string', default: '' },
    home: { type: 'string', default: '' },
    swarm: { type: 'string', default: '' },
    type: { type: 'string', default: '' },
    name: { type: 'string', default: '' },
    slots: { type: 'string', default: '1' },
  },
}).values;
const hive = await connect({ servers, home, identity: { kind: 'swarm', swarm }, env: {} });
const agent = await createAgent({
  ...{ hive, swarm, name, type, slots: Number(slots) },
  handler: async (task, { signal }) => {
    const { how, ms } = task.payload as Work;
    await pause(systemClock, ms, signal);
    const { outcome, reason, result } = endingOf({ how, ms }, task.attempt);
    if (outcome === 'OUTCOME_TERMINAL') throw new HiveError('FAILED_PRECONDITION', reason, { retryable: false });
    if (outcome !== 'OUTCOME_SUCCEEDED') throw new Error(reason);
    if (how === 'twice') await reportTwice(task, result);
    return { ...result, said: 'last' };
  },
});
console.log('is ready');

/** Reports before the agent does, which says something else, and repeats it, as when an answer was lost. */
async function reportTwice({ id: task, attempt }: AgentTask, result: unknown): Promise<void> {
  const report = { task, attempt, instance: agent.instance, outcome: 'OUTCOME_SUCCEEDED' as const, reason: '', result };
  const first = await hive.pool.reportTask(report);
  const second = await hive.pool.reportTask(report);
  if (first.state !== second.state) throw new Error(`${first.state}, then ${second.state}`);
}
