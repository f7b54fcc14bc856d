import { formatDuration } from '../../../libs/kernel/durations.ts';
import { notFound } from '../../../libs/kernel/errors.ts';
import { timestamp } from '../../../libs/kernel/timestamps.ts';
import type { View } from '../../../libs/protocol/machine.ts';
import type {
  ExplainedStep,
  ExplainRequest,
  ExplainResponse,
  Placement,
  RequestAgentRequest,
  Unblocker,
} from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { wasUsed } from './attempt.ts';
import type { Demand } from './demand.ts';
import { Plan } from './dispatch.ts';
import { requestDue } from './due.ts';
import { pendingRequests, withWholeWay } from './explained-borrowing.ts';
import { explainedChoice } from './explained-choice.ts';
import { holdsOfGroup, holdsOfTask } from './explained-holds.ts';
import { ofMigration } from './explained-migration.ts';
import { FairShare, planned } from './fair-share.ts';
import type { GroupRow } from './group-rows.ts';
import { blockedBy, groupView } from './group-view.ts';
import { leaseOf } from './lender.ts';
import { wishOf, wishOfTask } from './need.ts';
import { offerDue, offeredTo } from './offered.ts';
import { keepersOf, placementOf } from './placement.ts';
import type { Before } from './rivals.ts';
import { type AttemptRow, currentAttempt, isDelayed, type LeaseRow, type RequestRow, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolSoft, PoolState } from './state.ts';
import { unblocker } from './unblocker.ts';
import { followerText, leaseView, requestView, taskView } from './view.ts';

/** Where a task, a group, a lease, a migration or a wish is, and why: from the state when it is asked, and from what was kept of decisions. */
export const explain = (settings: PoolSettings) => (state: PoolState, asked: ExplainRequest, view: View<PoolSoft>) =>
  response(explained(state, asked, view, settings));

/** Only what is held back says by what. */
type Explained = Omit<ExplainResponse, 'holds'> & Partial<Pick<ExplainResponse, 'holds'>>;

const response = (found: Explained): ExplainResponse => ({ holds: [], ...found });

function explained(
  state: PoolState,
  { id, wish }: ExplainRequest,
  view: View<PoolSoft>,
  settings: PoolSettings,
): Explained {
  if (wish) return ofWish(state, wish, view);
  const task = state.tasks.get(id);
  if (task) return ofTask(state, task, view);
  const lease = state.leases.get(id);
  if (lease) return ofLease(lease, view);
  const request = state.requests.get(id);
  if (request) return ofRequest(state, request, view);
  const granted = id.startsWith('request-') ? state.leases.get(leaseOf(id)) : undefined;
  if (granted) return ofLease(granted, view);
  const group = state.groups.get(id);
  if (group) return ofGroup(state, group, view);
  const migration = state.migrations.get(id);
  if (migration) return ofMigration(state, migration, view, settings);
  throw notFound(
    'task, group, lease, request or migration',
    id,
    'it never was, or it has ended and is not kept any more',
  );
}

function ofTask(state: PoolState, task: TaskRow, view: View<PoolSoft>): Explained {
  const isBlocked = task.state === 'TASK_STATE_BLOCKED';
  const waits = task.state === 'TASK_STATE_QUEUED' && !isDelayed(task);
  const demand = demandOf(task);
  const found = waits ? placementOf(state, demand, tasksBefore(state, task)) : undefined;
  const told = taskView(task, state);
  // Here alone, since it takes a walk over all agents: which swarms have one and do not lend it.
  const kept = found?.fitting === 0 ? keepersOf(state, demand).texts : [];
  const placement = found && {
    ...found,
    unblockers: [
      ...pendingRequests(state, task),
      ...withWholeWay(state, task, found.unblockers),
      ...takers(state, task, view),
    ],
  };
  return {
    summary: isBlocked ? blockedSummary(state, task, view.now) : taskSummary(task, view.now),
    task: { ...told, waitingFor: [told.waitingFor, ...kept].join('; ') },
    history: taskHistory(state, task),
    placement,
    holds: isBlocked ? holdsOfTask(task, state) : [],
    choice: task.state === 'TASK_STATE_QUEUED' ? undefined : explainedChoice(task.choice),
    revision: String(view.revision),
  };
}

const tasksBefore = (state: PoolState, { id, spec: { swarm } }: TaskRow): Before[] =>
  state.queue.before(id).map(({ need, count }) => ({ swarm, need, lender: '', count }));

/** Who of other swarms takes it: where its agent moves to, and by when any, where the policy allows that. */
function takers(state: PoolState, task: TaskRow, view: View<PoolSoft>): Unblocker[] {
  const to = offeredTo(task);
  const text = `${followerText(task, to, state)}, takes it, as that swarm's lending policy allows`;
  const follows = to === '' ? [] : [unblocker('follow', text, { swarm: to })];
  // Votes are not offered to others' agents, see `offerDue`.
  if (state.stealing.afterMs === 0 || task.spec.ties?.vote) return follows;
  const at = offerDue(task, view.epochStart, state.stealing.afterMs);
  const any = `an idle agent of type ${task.spec.type} of another swarm, whose lending policy allows it, takes it`;
  const due = at === undefined ? undefined : timestamp(at);
  return [...follows, unblocker('steal', any, { at: due })];
}

const blockedSummary = (state: PoolState, task: TaskRow, now: number): string =>
  `is held back for ${formatDuration(Math.max(0, now - task.submittedAt))}; it waits for ${blockedBy(task, state)}`;

const demandOf = ({ spec, host }: TaskRow): Demand => ({
  kind: 'task',
  swarm: spec.swarm,
  type: spec.type,
  need: wishOfTask({ spec, host }).need,
  lender: '',
});

function taskSummary(task: TaskRow, now: number): string {
  const since = (ms: number) => formatDuration(Math.max(0, now - ms));
  const attempt = task.attempts.at(-1);
  const tries = triesText(task);
  switch (task.state) {
    case 'TASK_STATE_QUEUED':
      if (task.notBefore !== undefined)
        return `is tried again in ${formatDuration(Math.max(0, task.notBefore - now))}, after ${tries}`;
      return `has waited ${since(attempt?.endedAt || task.submittedAt)} for an agent${attempt ? `, after ${tries}` : ''}`;
    case 'TASK_STATE_ASSIGNED':
      return `is given to ${whoOf(attempt)}, which has not confirmed it for ${since(attempt?.assignedAt ?? now)}`;
    case 'TASK_STATE_RUNNING': {
      const left = formatDuration(Math.max(0, (attempt?.startedAt ?? now) + task.spec.timeoutMs - now));
      const running = `runs on ${whoOf(attempt)} for ${since(attempt?.startedAt ?? now)}, ${left} before its time limit`;
      return task.cancelRequestedAt > 0
        ? `${running}; its end was asked for ${since(task.cancelRequestedAt)} ago`
        : running;
    }
    case 'TASK_STATE_SUCCEEDED':
      return `succeeded on ${whoOf(attempt)} ${since(task.endedAt)} ago`;
    case 'TASK_STATE_CANCELLED':
      return `was cancelled ${since(task.endedAt)} ago: ${task.reason}`;
    default:
      return `failed ${since(task.endedAt)} ago after ${tries}: ${task.reason}`;
  }
}

/** Attempts count as by the limit of a task: one that was moved, or lost before it began, does not use it up. */
function triesText({ attempts, spec }: TaskRow): string {
  const free = attempts.filter((attempt) => !wasUsed(attempt));
  const why = [...new Set(free.map(({ outcome }) => (outcome === 'OUTCOME_MOVED' ? 'moved' : 'lost before it began')))];
  const others = free.length === 0 ? '' : ` and ${free.length} that did not count (${why.join(', ')})`;
  return `${attempts.length - free.length} of ${spec.maxAttempts} attempts${others}`;
}

const whoOf = (attempt: AttemptRow | undefined): string =>
  attempt ? `${attempt.agent}${attempt.lease === '' ? '' : ` (borrowed, ${attempt.lease})`}` : 'an agent';

function taskHistory(state: PoolState, task: TaskRow): ExplainedStep[] {
  const steps = [step(task.submittedAt, `submitted by ${task.submittedBy}`)];
  if (task.offered) {
    const { at, to } = task.offered;
    const why = to
      ? `its agent was to move there: idle agents of swarm ${to}`
      : 'had waited long: idle agents of other swarms';
    steps.push(step(at, `${why} might take it from then on`));
  }
  const { verdict } = task;
  if (verdict) steps.push(step(verdict.at, `approved by ${verdict.by}${verdict.reason && `: ${verdict.reason}`}`));
  for (const attempt of task.attempts) {
    const { number, assignedAt, startedAt, endedAt, reason } = attempt;
    const taken = state.leases.get(attempt.lease)?.task;
    const why = taken ? `, which was idle and taken for ${taken === task.id ? 'it' : taken}` : '';
    steps.push(step(assignedAt, `attempt ${number} given to ${whoOf(attempt)}${why}`));
    if (startedAt > 0) steps.push(step(startedAt, `attempt ${number} begun`));
    if (endedAt > 0) {
      const outcome = attempt.outcome.slice('OUTCOME_'.length).toLowerCase().replaceAll('_', ' ');
      steps.push(step(endedAt, `attempt ${number} ended: ${outcome}${reason === '' ? '' : `, ${reason}`}`));
    }
  }
  if (task.cancelRequestedAt > 0) steps.push(step(task.cancelRequestedAt, `its end was asked for: ${task.reason}`));
  if (task.endedAt > 0 && !currentAttempt(task)) {
    const how = task.state.slice('TASK_STATE_'.length).toLowerCase();
    steps.push(step(task.endedAt, task.reason === '' ? how : `${how}: ${task.reason}`));
  }
  return steps.sort((a, b) => (a.at === b.at ? 0 : (a.at ?? '') < (b.at ?? '') ? -1 : 1));
}

function ofGroup(state: PoolState, row: GroupRow, view: View<PoolSoft>): Explained {
  const group = groupView(row, state);
  const { total, succeeded } = group.counts ?? { total: 0, succeeded: 0 };
  const since = formatDuration(Math.max(0, view.now - (row.endedAt || row.submittedAt)));
  const how = row.state.slice('GROUP_STATE_'.length).toLowerCase();
  const summary =
    row.endedAt > 0
      ? `${how} ${since} ago, ${succeeded} of ${total} tasks succeeded${row.reason === '' ? '' : `: ${row.reason}`}`
      : `is ${how} for ${since}; it waits for ${group.waitingFor}`;
  const [history, holds] = [groupHistory(row), holdsOfGroup(row)];
  return { summary, group, history, holds, placement: undefined, revision: String(view.revision) };
}

function groupHistory(row: GroupRow): ExplainedStep[] {
  const steps = [step(row.submittedAt, `submitted by ${row.submittedBy}`)];
  for (const { phase, state, findings, reachedAt, verdict } of row.gates) {
    const missed = findings.find(({ holds }) => !holds);
    const found = missed ? `no-go: not ${missed.text}, but ${missed.found}` : 'all of it holds';
    steps.push(step(reachedAt, `the gate after phase ${phase} was reached: ${found}`));
    if (!verdict) continue;
    const said = state === 'GATE_STATE_GO' ? 'yes' : 'no';
    steps.push(step(verdict.at, `${verdict.by} said ${said}${verdict.reason === '' ? '' : `: ${verdict.reason}`}`));
  }
  if (row.endedAt > 0) steps.push(step(row.endedAt, row.reason === '' ? 'ended' : `ended: ${row.reason}`));
  return steps;
}

function ofLease(lease: LeaseRow, view: View<PoolSoft>): Explained {
  const unasked = lease.why ? `, unasked: ${lease.why}` : '';
  const idle = lease.why ? `${lease.why}, and the agent was idle` : 'which had waited long: the agent was idle';
  const why = lease.task ? `, for task ${lease.task}, ${idle}` : unasked;
  const steps = [step(lease.grantedAt, `${lease.agent} lent by ${lease.lender} to ${lease.borrower}${why}`)];
  if (lease.since > lease.grantedAt) steps.push(step(lease.since, 'renewed last'));
  if (lease.endedAt > 0) steps.push(step(lease.endedAt, `ended: ${lease.reason}`));
  return {
    summary: leaseSummary(lease, view.now),
    lease: leaseView(lease, 0),
    history: steps,
    placement: undefined,
    choice: explainedChoice(lease.choice),
    revision: String(view.revision),
  };
}

function leaseSummary(lease: LeaseRow, now: number): string {
  const { agent, borrower, since, termMs } = lease;
  switch (lease.state) {
    case 'LEASE_STATE_ACTIVE': {
      const left = formatDuration(Math.max(0, since + termMs - now));
      return `${agent} serves ${borrower}, for another ${left} unless it is renewed`;
    }
    case 'LEASE_STATE_DRAINING':
      return `is over (${lease.reason}); ${agent} finishes what it runs for ${borrower} and then goes home`;
    default:
      return `ended ${formatDuration(Math.max(0, now - lease.endedAt))} ago: ${lease.reason}`;
  }
}

function ofRequest(state: PoolState, request: RequestRow, view: View<PoolSoft>): Explained {
  const { wish, queuedAt } = request;
  const left = formatDuration(Math.max(0, requestDue(request, 0) - view.now));
  const summary = `has waited ${formatDuration(Math.max(0, view.now - queuedAt))} for an agent, for another ${left} at most`;
  const history = [step(queuedAt, `asked for by ${wish.swarm}`)];
  const { quotas } = new Plan(state);
  const fair = new FairShare(planned(state.shares), state.limits);
  const before = state.asking
    .before(request.id, fair, (swarm) => quotas.mayBorrow(swarm))
    .map(({ row, wish: { swarm, need } }) => ({ swarm, need, lender: row.wish.lender, count: 1 }));
  const { placement, ...answer } = ofWish(state, wish, view, before);
  return { ...answer, placement: placement && granted(placement), request: requestView(request), summary, history };
}

/** Whatever may be lent goes to a request that waits: nobody need borrow it. */
const granted = (placement: Placement): Placement => ({
  ...placement,
  unblockers: placement.unblockers.map((each) =>
    each.lending ? { ...each, lending: { ...each.lending, thenBorrow: false } } : each,
  ),
});

function ofWish(
  state: PoolState,
  wish: RequestAgentRequest,
  view: View<PoolSoft>,
  before: readonly Before[] = [],
): Explained {
  const { swarm, type, lender } = wish;
  const { need } = wishOf(wish);
  const demand: Demand = { kind: 'wish', swarm, type, need, lender };
  const placement = placementOf(state, demand, before);
  const { fitting, agents } = placement;
  const summary =
    fitting > 0
      ? `${fitting} of ${agents} agents could be lent to ${swarm} now`
      : [`no agent of type ${type} can be lent to ${swarm} now`, ...keepersOf(state, demand).texts].join('; ');
  const list = fitting > 0 ? new Plan(state).lender.candidatesFor(wish) : undefined;
  const choice = list?.first && explainedChoice(list.choice(state, list.first));
  return { summary, history: [], placement, choice, revision: String(view.revision) };
}

const step = (ms: number, text: string): ExplainedStep => ({ at: timestamp(ms), text });
