import { timestamp as time } from '../../../libs/kernel/timestamps.ts';
import type {
  Agent,
  AgentRequest,
  Attempt,
  Checkpoint,
  Lease,
  Migration,
  Performance,
  Task,
  TaskArtefacts,
} from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { drainView } from './agent-rows.ts';
import { budgetUse } from './budget.ts';
import { obstaclesText, otherTypesText } from './candidates.ts';
import { claimOver } from './claim.ts';
import { leaseDue, requestDue } from './due.ts';
import { blockedBy, verdictView } from './group-view.ts';
import { meets, wishOfTask } from './need.ts';
import { offeredTo } from './offered.ts';
import {
  type AgentRow,
  type AttemptRow,
  type CheckpointRow,
  isDelayed,
  type LeaseRow,
  type MeasureRow,
  type MigrationRow,
  type RequestRow,
  type TaskRow,
} from './rows.ts';
import { ALWAYS, AVERAGE } from './score.ts';
import type { PoolState } from './state.ts';

/** Rows as they are answered. */

const timeOrNone = (ms: number): string | undefined => (ms === 0 ? undefined : time(ms));

export const agentView = (row: AgentRow, state: PoolState): Agent => ({
  swarm: row.home,
  name: row.name,
  type: row.type,
  capabilities: [...row.capabilities],
  slots: row.slots,
  instance: row.instance,
  allowScripts: row.allowScripts,
  region: row.region,
  priority: row.priority,
  state: row.state,
  stateSince: time(row.stateSince),
  busy: state.workers.get(row.key)?.busy ?? 0,
  lease: row.lease,
  serving: row.serving,
  revision: String(row.revision),
  labels: { ...row.labels },
  specialisations: [...row.specialisations],
  cost: row.cost,
  performance: performanceView(state.measures.get(row.key)),
  ...(row.lameDuck ? { drain: drainView(row.lameDuck) } : {}),
});

const performanceView = (row: MeasureRow | undefined): Performance | undefined =>
  row && { successRate: row.success / ALWAYS, relativeDuration: row.slowness / AVERAGE, samples: row.samples };

/** `epochStart`: the epoch's begin, from which terms run at the earliest. */
export const leaseView = (row: LeaseRow, epochStart: number): Lease => ({
  id: row.id,
  agent: row.agent,
  lender: row.lender,
  borrower: row.borrower,
  termMs: row.termMs,
  expiresAt: timeOrNone(leaseDue(row, epochStart) ?? 0),
  state: row.state,
  grantedAt: time(row.grantedAt),
  revision: String(row.revision),
  endedAt: timeOrNone(row.endedAt),
  reason: row.reason,
  task: row.task ?? '',
});

export const migrationView = (row: MigrationRow): Migration => ({
  ...{ id: row.id, agent: row.agent, from: row.from, to: row.to, name: row.name, state: row.state },
  ...{ graceMs: row.graceMs, reason: row.reason, given: row.given, taken: row.taken },
  startedAt: time(row.startedAt),
  stateSince: time(row.since),
  endedAt: timeOrNone(row.endedAt),
  revision: String(row.revision),
});

export const requestView = (row: RequestRow): AgentRequest => ({
  id: row.id,
  wish: row.wish,
  queuedAt: time(row.queuedAt),
  expiresAt: time(requestDue(row, 0)),
  revision: String(row.revision),
});

export const taskView = (row: TaskRow, state: PoolState): Task => ({
  id: row.id,
  spec: row.spec,
  state: row.state,
  attempts: row.attempts.map(attemptView),
  result: row.result,
  reason: row.reason,
  cancelRequested: row.cancelRequestedAt > 0,
  submittedAt: time(row.submittedAt),
  endedAt: timeOrNone(row.endedAt),
  submittedBy: row.submittedBy,
  traceparent: row.traceparent,
  correlationId: row.correlationId,
  hops: row.hops,
  revision: String(row.revision),
  checkpoint: checkpointOf(row, state),
  artefacts: artefactsOf(row, state),
  origin: row.origin,
  budgetUse: row.budget === undefined ? undefined : budgetUse(state, row),
  waitingFor: waitText(row, state),
  verdict: row.verdict && verdictView(row.verdict),
});

const checkpointOf = ({ id }: TaskRow, state: PoolState): Checkpoint | undefined => {
  const row = state.checkpoints.get(id);
  return row && checkpointView(row);
};

const artefactsOf = ({ id }: TaskRow, state: PoolState): TaskArtefacts | undefined => {
  const row = state.artefacts.get(id);
  return row && { items: [...row.items] };
};

/** Without the data, which may be large. */
export const checkpointView = ({ number, attempt, bytes, savedAt }: CheckpointRow): Checkpoint => ({
  number,
  attempt,
  bytes,
  savedAt: time(savedAt),
});

const attemptView = (row: AttemptRow): Attempt => ({
  number: row.number,
  agent: row.agent,
  instance: row.instance,
  lease: row.lease,
  assignedAt: time(row.assignedAt),
  startedAt: timeOrNone(row.startedAt),
  endedAt: timeOrNone(row.endedAt),
  outcome: row.outcome,
  reason: row.reason,
});

/** Its last agent may still be at it, and nobody can ask it. */
const claimWait = (task: TaskRow): string =>
  `the end of the claim that ${task.attempts.at(-1)?.agent} has on it, not before ${time(claimOver(task, 0))}`;

function waitText(row: TaskRow, state: PoolState): string {
  if (row.state === 'TASK_STATE_BLOCKED') return blockedBy(row, state);
  if (row.state !== 'TASK_STATE_QUEUED') return '';
  const to = isDelayed(row) ? '' : offeredTo(row);
  return to === '' ? waitingFor(row, state) : `${waitingFor(row, state)}; or ${followerText(row, to, state)}`;
}

/** Who else may go on with a task whose agent moves to another swarm. */
export function followerText({ spec, attempts }: TaskRow, to: string, state: PoolState): string {
  const agent = attempts.at(-1)?.agent ?? '';
  const move = state.migrations.get(state.moving.of(agent) ?? state.moving.goneBy(agent) ?? '');
  const how = move?.to !== to ? 'was to move' : move.endedAt > 0 ? 'has moved' : 'moves';
  return `an idle agent of type ${spec.type} of swarm ${to}, to which its agent ${agent} ${how}`;
}

/** Why a task waits: its swarm's own agents of the type, by what keeps each from it. */
function waitingFor(task: TaskRow, state: PoolState): string {
  const { swarm, type } = task.spec;
  if (task.notBefore !== undefined && task.attempts.at(-1)?.claimMs !== undefined) return claimWait(task);
  if (task.notBefore !== undefined) return `its next attempt, not before ${time(task.notBefore)}`;
  const max = state.limits.get(swarm)?.maxRunning ?? 0;
  const running = state.usage.running.of(swarm);
  if (max > 0 && running >= max) return `the end of a task of swarm ${swarm}, which runs ${running} of at most ${max}`;
  const { need } = wishOfTask(task);
  const counts = { free: 0, busy: 0, lent: 0, draining: 0, suspect: 0, unreachable: 0, unfit: 0 };
  for (const offer of state.workers.ofType(type)) {
    if (offer.home !== swarm) continue;
    for (const [standing, count] of Object.entries(offer.counts)) {
      counts[meets(offer, need) ? (standing as keyof typeof counts) : 'unfit'] += count;
    }
  }
  const { free: _, unfit, ...taken } = counts;
  const obstacles = { ...taken, 'lacking a capability or label': unfit };
  const own = Object.values(obstacles).reduce((sum, count) => sum + count, 0);
  const where = task.host === undefined ? '' : ` on host ${task.host}, where its volumes are,`;
  if (own > 0)
    return `a free agent of type ${type}${where} for swarm ${swarm}: ${own} of its own${obstaclesText(obstacles)}`;
  return `an agent of type ${type}${where}: swarm ${swarm} has none of its own${otherTypesText(state.workers.ofHome(swarm))}`;
}
