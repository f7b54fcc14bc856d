import type { Command } from 'commander';
import type { Hive } from '../../libs/sdk/hive.ts';
import type { Agent, Migration } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { AGENTS, agentName } from '../kinds/agents.ts';
import { kindTable } from '../kinds/kind.ts';
import { SWARMS } from '../kinds/swarms.ts';
import { listing } from '../output.ts';
import { stateText } from '../render.ts';
import { orMeant, warnOfNone } from '../unknown-names.ts';
import { agentPath, between, duration } from '../values.ts';

interface GraceOptions {
  grace: number;
  reason: string;
}

interface MigrateOptions extends GraceOptions {
  to: string;
  as: string;
}

const GRACE = ['--grace <duration>', 'how long what it runs may go on, at most 1h'] as const;

/** `agent drain`, `resume`, `migrate`, `migrations` and `stay`. */
export function addAgentMoves(agent: Command): void {
  agent
    .command('drain')
    .description('give an agent nothing new; what it runs may finish, then the rest is given to others')
    .argument('<agent>', 'SWARM/NAME', agentPath)
    .option(...GRACE, duration, 60_000)
    .option('--reason <text>', 'why', '')
    .action(action(drain));
  agent
    .command('resume')
    .description('give an agent that was drained work again')
    .argument('<agent>', 'SWARM/NAME', agentPath)
    .action(action(resume));
  agent
    .command('migrate')
    .description("move an agent to another swarm for good; its host must have that swarm's key")
    .argument('<agent>', 'SWARM/NAME', agentPath)
    .requiredOption('--to <swarm>', "the swarm that it moves to; without an operator's key, both swarms must ask")
    .option('--as-name <name>', 'its name there (default: the same)', '')
    .option(...GRACE, duration, 60_000)
    .option('--reason <text>', 'why', '')
    .action(action(migrate));
  agent
    .command('migrations')
    .description('agents that move to another swarm; hivebus explain ID says more of one')
    .option('--swarm <name>', 'only from or to this swarm', '')
    .option('--all', 'also those that have ended')
    .action(action(migrations));
  agent
    .command('stay')
    .description('end a migration that is not over: the agent stays where it is')
    .argument('<migration>', "the migration's id")
    .option('--reason <text>', 'why', '')
    .action(action(stay));
}

const drain = (context: Context, agent: string, { grace: graceMs, reason }: GraceOptions): Promise<void> =>
  showAgent(context, agent, (hive, name) => hive.pool.drainAgent({ ...name, graceMs, reason }));

const resume = (context: Context, agent: string): Promise<void> =>
  showAgent(context, agent, (hive, name) => hive.pool.resumeAgent(name));

async function showAgent(
  context: Context,
  agent: string,
  ask: (hive: Hive, name: ReturnType<typeof agentName>) => Promise<{ agent?: Agent | undefined }>,
): Promise<void> {
  const name = agentName(agent);
  await withHive(context, async (hive) => {
    const answer = await orMeant(hive, AGENTS, agent, ask(hive, name));
    context.output.data(answer, () => kindTable(AGENTS, answer.agent ? [answer.agent] : []));
  });
}

async function migrate(context: Context, agent: string, options: MigrateOptions & { asName: string }): Promise<void> {
  const { to, asName: newName, grace: graceMs, reason } = options;
  await withHive(context, async (hive) => {
    const asked = hive.pool.migrateAgent({ ...agentName(agent), to, newName, graceMs, reason });
    const answer = await orMeant(hive, SWARMS, to, orMeant(hive, AGENTS, agent, asked));
    context.output.data(answer, () => migrationTable(answer.migration ? [answer.migration] : []));
  });
}

async function migrations(context: Context, { swarm, all }: { swarm: string; all?: boolean }): Promise<void> {
  await withHive(context, async (hive) => {
    const request = { swarm, includeEnded: all ?? false, pageSize: 1000 };
    const answer = await hive.pool.listMigrations(request);
    await warnOfNone(hive, answer.migrations, { swarm }, context.output);
    context.output.data(answer.migrations, () =>
      answer.migrations.length === 0 ? 'no agent moves' : migrationTable(answer.migrations),
    );
  });
}

async function stay(context: Context, id: string, { reason }: { reason: string }): Promise<void> {
  await withHive(context, async (hive) => {
    const answer = await hive.pool.cancelMigration({ id, reason });
    context.output.data(answer, () => migrationTable(answer.migration ? [answer.migration] : []));
  });
}

const migrationTable = (rows: readonly Migration[]): string =>
  listing(
    ['MIGRATION', 'AGENT', 'TO', 'STATE', 'SINCE', 'WAITS FOR', 'REASON'],
    rows.map((row) => [
      row.id,
      row.agent,
      `${row.to}/${row.name}`,
      stateText(row.state, 'MIGRATION_STATE'),
      between(row.stateSince, undefined),
      waitsFor(row),
      row.reason || '-',
    ]),
  );

function waitsFor({ state, given, from, to }: Migration): string {
  switch (state) {
    case 'MIGRATION_STATE_PROPOSED':
      return `swarm ${given ? to : from}'s yes`;
    case 'MIGRATION_STATE_DRAINING':
      return 'what it runs';
    case 'MIGRATION_STATE_TRANSFERRING':
      return 'the agent';
    default:
      return '-';
  }
}
