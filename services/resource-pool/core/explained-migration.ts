import { formatDuration } from '../../../libs/kernel/durations.ts';
import { timestamp } from '../../../libs/kernel/timestamps.ts';
import type { View } from '../../../libs/protocol/machine.ts';
import type { ExplainedStep, ExplainResponse } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { agentDue, migrationDue } from './due.ts';
import { agentKey, type MigrationRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolSoft, PoolState } from './state.ts';
import { migrationView } from './view.ts';

/** Where an agent's move to another swarm stands: what it waits for and until when, and what becomes of the agent's tasks. */

/** So many tasks are told. */
const MAX_TASKS = 100;

export function ofMigration(
  state: PoolState,
  row: MigrationRow,
  view: View<PoolSoft>,
  settings: PoolSettings,
): ExplainResponse {
  const running = row.endedAt > 0 ? [] : [...state.workers.tasksOf(row.agent)].slice(0, MAX_TASKS);
  const left = leftBy(state, row);
  const deadline = deadlineOf(state, row, view, settings);
  const waitingFor = waitOf(row, running);
  return {
    summary: summaryOf(row, running, deadline, view.now),
    migration: {
      ...{ migration: migrationView(row), waitingFor, running, left },
      deadline: deadline === undefined ? undefined : timestamp(deadline),
    },
    history: historyOf(row),
    holds: [],
    placement: undefined,
    revision: String(view.revision),
  };
}

/** When it goes on or is cancelled without anybody: of one that drains, when its agent must give back what it runs. */
function deadlineOf(
  state: PoolState,
  row: MigrationRow,
  { epochStart }: View<PoolSoft>,
  settings: PoolSettings,
): number | undefined {
  const agent = row.state === 'MIGRATION_STATE_DRAINING' ? state.agents.get(row.agent) : undefined;
  return agent ? agentDue(agent, epochStart, settings) : migrationDue(row, epochStart, settings);
}

/** Attempts of its agent that ended without an end of their task, because it was to move. */
function leftBy(state: PoolState, row: MigrationRow): string[] {
  const found: string[] = [];
  for (const { id, attempts } of state.tasks.values()) {
    const isLeft = attempts.some(
      ({ agent, endedAt, outcome }) =>
        agent === row.agent &&
        endedAt >= row.startedAt &&
        (outcome === 'OUTCOME_MOVED' || outcome === 'OUTCOME_LOST') &&
        (row.endedAt === 0 || endedAt <= row.endedAt),
    );
    if (isLeft && found.length < MAX_TASKS) found.push(id);
  }
  return found;
}

function waitOf({ state, agent, from, to, given }: MigrationRow, running: readonly string[]): string {
  switch (state) {
    case 'MIGRATION_STATE_PROPOSED':
      return `the yes of swarm ${given ? to : from}`;
    case 'MIGRATION_STATE_DRAINING':
      return `what ${agent} still runs: ${running.join(', ')}`;
    case 'MIGRATION_STATE_TRANSFERRING':
      return `${agent} itself, which must register in swarm ${to} with that swarm's key`;
    default:
      return '';
  }
}

function summaryOf(row: MigrationRow, running: readonly string[], deadline: number | undefined, now: number): string {
  const since = (ms: number) => formatDuration(Math.max(0, now - ms));
  const left = formatDuration(Math.max(0, (deadline ?? now) - now));
  switch (row.state) {
    case 'MIGRATION_STATE_ACTIVE':
      return `${row.agent} moved ${since(row.endedAt)} ago and is ${agentKey(row.to, row.name)}`;
    case 'MIGRATION_STATE_CANCELLED':
      return `${row.agent} stayed in swarm ${row.from}: ${row.reason}`;
    case 'MIGRATION_STATE_DRAINING':
      return `${row.agent} gets nothing new and finishes ${running.join(', ')}, for another ${left} at most; then others go on with it`;
    case 'MIGRATION_STATE_TRANSFERRING':
      return `${row.agent} runs nothing any more and must register in swarm ${row.to}, with its key, within ${left}, or it stays`;
    default:
      return `waits for the yes of swarm ${row.given ? row.to : row.from}, for another ${left} at most`;
  }
}

const STEPS: Readonly<Partial<Record<MigrationRow['state'], string>>> = {
  MIGRATION_STATE_DRAINING: 'both agreed: it is given nothing new',
  MIGRATION_STATE_TRANSFERRING: 'nothing of it runs any more: it was told where to go',
  MIGRATION_STATE_ACTIVE: 'registered in the other swarm, and left the one before',
};

/** When it was asked for, and when it came into its state: what was between is not kept. */
function historyOf(row: MigrationRow): ExplainedStep[] {
  const { agent, to, name, by, reason, startedAt, since, state } = row;
  const isOver = state === 'MIGRATION_STATE_CANCELLED';
  const why = reason === '' || isOver ? '' : `: ${reason}`;
  const asked = `${agent} shall be ${agentKey(to, name)}, asked for${by === undefined ? '' : ` by ${by}`}${why}`;
  const last = isOver ? `ended: ${reason}` : STEPS[state];
  return [
    { at: timestamp(startedAt), text: asked },
    ...(last === undefined ? [] : [{ at: timestamp(since), text: last }]),
  ];
}
