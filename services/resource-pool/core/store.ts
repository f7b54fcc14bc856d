import type { DueQueue } from '../../../libs/kernel/due-queue.ts';
import type { Artefact } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { agentDue, leaseDue, migrationDue, requestDue, taskDue } from './due.ts';
import type { GroupRow } from './group-rows.ts';
import { isOffered, offerDue, offeredTo, openOffer } from './offered.ts';
import {
  type AgentRow,
  BALANCE_KEY,
  type BudgetRow,
  type CheckpointRow,
  currentAttempt,
  type DeadLetterRow,
  type DeliveryRow,
  isDelayed,
  type LeaseRow,
  type MeasureRow,
  type MigrationRow,
  POLICY_KEY,
  type PolicyRow,
  type RequestRow,
  type TaskRow,
} from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolState } from './state.ts';
import { hasEnded } from './task-states.ts';
import { taskWith, wholeAgent, wholeAttempt, wholeLease } from './whole-rows.ts';

/** The only writers of rows: each keeps in step what is derived from its table. */

export function putAgent(state: PoolState, row: AgentRow, settings: PoolSettings): void {
  const before = state.agents.get(row.key);
  state.agents.set(row.key, row);
  state.workers.put(row, state.scoring.merit(row, state.measures.get(row.key)));
  if (before && before.type !== row.type) dropNorm(state, before.type);
  const due = agentDue(row, 0, settings);
  // Mostly nothing is due, and was not: then it is not in the queue.
  if (due !== undefined || (before && agentDue(before, 0, settings) !== undefined)) {
    schedule(state.due, `agent/${row.key}`, due);
  }
}

export function deleteAgent(state: PoolState, key: string): void {
  const before = state.agents.get(key);
  state.agents.delete(key);
  state.measures.delete(key);
  state.workers.delete(key);
  if (before) dropNorm(state, before.type);
  state.due.delete(`agent/${key}`);
  dropOwed(state, key);
}

/** What is known of a type goes with its last agent. */
function dropNorm(state: PoolState, type: string): void {
  if (state.workers.ofType(type).size === 0) state.norms.delete(type);
}

export function putMeasure(state: PoolState, agent: AgentRow, row: MeasureRow): void {
  state.measures.set(agent.key, row);
  state.workers.weigh(agent.key, state.scoring.merit(agent, row));
}

/** Ranks every agent anew: a decision of an operator, which is rare, and not of the pool. */
export function putPolicy(state: PoolState, row: PolicyRow): void {
  state.policies.set(POLICY_KEY, row);
  state.scoring.use(row);
  state.queue.ageBy(row.ageingMs);
  state.asking.ageBy(row.ageingMs);
  state.stealing.tasks.ageBy(row.ageingMs);
  state.stealing.afterMs = row.stealAfterMs ?? 0;
  for (const agent of state.agents.values()) {
    state.workers.weigh(agent.key, state.scoring.merit(agent, state.measures.get(agent.key)));
  }
}

/** How long tasks wait before they are offered has changed: what was offered to all is no more, and is due anew. */
export function offerAnew(state: PoolState): void {
  for (const task of state.tasks.values()) {
    if (task.state !== 'TASK_STATE_QUEUED') continue;
    const anew = offeredTo(task) === '' ? taskWith(task, { offered: undefined }) : task;
    state.stealing.tasks.delete(task.id);
    state.tasks.set(task.id, anew);
    indexOffer(state, anew);
  }
}

/** Other rules of rebalancing: what was found by the ones before counts no more, and the next look is an interval away. */
export function lookAnew(state: PoolState, now: number): void {
  const { last } = state.balances.get(BALANCE_KEY) ?? {};
  state.balances.set(BALANCE_KEY, { lookedAt: now, looks: 0, found: '', ...(last ? { last } : {}) });
}

/** Where a task stands that agents of other swarms take, or will. */
function indexOffer(state: PoolState, task: TaskRow): void {
  const { stealing, due } = state;
  schedule(due, `offer/${task.id}`, offerDue(task, 0, stealing.afterMs));
  const asks = isOffered(task) ? openOffer(task, stealing.afterMs) : undefined;
  if (asks) stealing.tasks.add(asks);
}

export function putLease(state: PoolState, row: LeaseRow): void {
  const before = state.leases.get(row.id);
  if (before) state.usage.lease(before, -1);
  state.leases.set(row.id, row);
  indexLease(state, row);
}

function indexLease(state: PoolState, row: LeaseRow): void {
  schedule(state.due, `lease/${row.id}`, leaseDue(row, 0));
  state.usage.lease(row, 1);
  state.stealing.put(row);
  if (row.endedAt > 0) state.endedLeases.add(row);
}

export function deleteLease(state: PoolState, id: string): void {
  state.leases.delete(id);
  state.endedLeases.delete(id);
}

export function putMigration(state: PoolState, row: MigrationRow, settings: PoolSettings): void {
  state.migrations.set(row.id, row);
  indexMigration(state, row, settings);
}

function indexMigration(state: PoolState, row: MigrationRow, settings: PoolSettings): void {
  state.moving.put(row);
  schedule(state.due, `migration/${row.id}`, migrationDue(row, 0, settings));
  if (row.endedAt > 0) state.endedMigrations.add(row);
}

export function deleteMigration(state: PoolState, id: string): void {
  const row = state.migrations.get(id);
  if (row) state.moving.delete(row);
  state.migrations.delete(id);
  state.endedMigrations.delete(id);
}

export function putRequest(state: PoolState, row: RequestRow): void {
  state.requests.set(row.id, row);
  indexRequest(state, row);
}

function indexRequest(state: PoolState, row: RequestRow): void {
  state.asking.add(row);
  state.usage.requests.add(row.wish.swarm, 1);
  schedule(state.due, `request/${row.id}`, requestDue(row, 0));
}

export function deleteRequest(state: PoolState, id: string): void {
  const row = state.requests.get(id);
  if (!row) return;
  state.usage.requests.add(row.wish.swarm, -1);
  state.requests.delete(id);
  state.asking.delete(id);
  state.due.delete(`request/${id}`);
}

export function putTask(state: PoolState, row: TaskRow, settings: PoolSettings): void {
  const before = state.tasks.get(row.id);
  const from = before && currentAttempt(before)?.agent;
  const to = currentAttempt(row)?.agent;
  if (!before) referToBudget(state, row.budget, 1);
  if (before?.state === 'TASK_STATE_QUEUED') state.queue.delete(row.id);
  if (before && isOffered(before)) state.stealing.tasks.delete(row.id);
  if (from && from !== to) state.workers.hold(from, row.id, false);
  state.tasks.set(row.id, row);
  if (to && from !== to) state.workers.hold(to, row.id, true);
  if (row.spec.ties) indexTies(state, before, row);
  indexTask(state, before, row, settings);
}

function indexTask(state: PoolState, before: TaskRow | undefined, row: TaskRow, settings: PoolSettings): void {
  state.usage.task(before, row);
  if (row.state === 'TASK_STATE_QUEUED' && !isDelayed(row)) state.queue.add(row);
  if (state.stealing.afterMs > 0 || row.offered) indexOffer(state, row);
  if (hasEnded(row.state)) indexEnded(state, row);
  schedule(state.due, `task/${row.id}`, taskDue(row, 0, settings));
}

/** It may be forgotten, unless others still need it; whoever waits for it is looked at. */
function indexEnded(state: PoolState, row: TaskRow): void {
  if (!state.ties.isPinned(row)) state.endedTasks.add(row);
  for (const id of state.ties.dependantsOf(row.id) ?? []) {
    const dependant = state.tasks.get(id);
    if (dependant) lookAt(state, dependant);
  }
}

/** A task's ties are new, or it has changed. */
function indexTies(state: PoolState, before: TaskRow | undefined, row: TaskRow): void {
  tie(state, before, row);
  const isOpen = !hasEnded(row.state);
  if (isOpen && before) return;
  for (const { task } of row.spec.ties?.after ?? []) {
    if (isOpen) state.endedTasks.delete(task);
    else unpin(state, task);
  }
}

function tie(state: PoolState, before: TaskRow | undefined, row: TaskRow): void {
  state.ties.put(before, row);
  lookAt(state, row);
}

/** Something changed for a task that has ties: what follows is looked for at the next tick. */
function lookAt(state: PoolState, row: TaskRow): void {
  const { group = '' } = row.spec.ties ?? {};
  if (group !== '') schedule(state.due, `group/${group}`, 0);
  else schedule(state.due, `blocked/${row.id}`, row.state === 'TASK_STATE_BLOCKED' ? 0 : undefined);
}

/** A task may be forgotten unless another still needs it. */
function unpin(state: PoolState, id: string): void {
  const row = state.tasks.get(id);
  if (row && hasEnded(row.state) && !state.ties.isPinned(row)) state.endedTasks.add(row);
}

export function putGroup(state: PoolState, row: GroupRow): void {
  const before = state.groups.get(row.id);
  state.groups.set(row.id, row);
  if (!before) return indexGroup(state, row);
  if (row.endedAt > 0) endGroup(state, row);
  else schedule(state.due, `group/${row.id}`, 0);
}

function indexGroup(state: PoolState, row: GroupRow): void {
  if (row.endedAt > 0) return state.endedGroups.add(row);
  state.ties.open(row.id);
  schedule(state.due, `group/${row.id}`, 0);
}

function endGroup(state: PoolState, row: GroupRow): void {
  const members = state.ties.members(row.id)?.tasks ?? [];
  state.ties.close(row.id);
  state.due.delete(`group/${row.id}`);
  state.endedGroups.add(row);
  for (const id of members) unpin(state, id);
}

export function deleteGroup(state: PoolState, id: string): void {
  state.groups.delete(id);
  state.endedGroups.delete(id);
}

export function deleteTask(state: PoolState, id: string): void {
  referToBudget(state, state.tasks.get(id)?.budget, -1);
  state.tasks.delete(id);
  putArtefacts(state, id, []);
  state.endedTasks.delete(id);
}

export function putDeadLetter(state: PoolState, row: DeadLetterRow): void {
  state.deadBytes.value += row.size - (state.deadLetters.get(row.row.id)?.size ?? 0);
  state.deadLetters.set(row.row.id, row);
}

export function deleteDeadLetter(state: PoolState, task: string): void {
  const row = state.deadLetters.get(task);
  if (!row) return;
  state.deadLetters.delete(task);
  state.deadBytes.value -= row.size;
}

/** One task more (1) or less (-1) refers to a budget; one that nobody refers to leaves, and refers to none above. */
function referToBudget(state: PoolState, budget: string | undefined, by: 1 | -1): void {
  if (budget === undefined || budget === '') return;
  const count = (state.budgetRefs.get(budget) ?? 0) + by;
  if (count > 0) state.budgetRefs.set(budget, count);
  else {
    const parent = state.budgets.get(budget)?.parent;
    state.budgetRefs.delete(budget);
    state.budgets.delete(budget);
    referToBudget(state, parent, -1);
  }
}

export function putBudget(state: PoolState, row: BudgetRow): void {
  state.budgets.set(row.task, row);
  referToBudget(state, row.parent, 1);
}

export function putArtefacts(state: PoolState, task: string, items: readonly Artefact[]): void {
  const before = state.artefacts.get(task)?.items ?? [];
  state.artefactBytes.value += bytesOf(items) - bytesOf(before);
  if (items.length > 0) state.artefacts.set(task, { items });
  else if (before.length > 0) state.artefacts.delete(task);
}

const bytesOf = (items: readonly Artefact[]): number => items.reduce((sum, { bytes }) => sum + bytes, 0);

export function putCheckpoint(state: PoolState, row: CheckpointRow): void {
  deleteCheckpoint(state, row.task);
  state.checkpoints.set(row.task, row);
  state.checkpointBytes.value += row.bytes;
}

export function deleteCheckpoint(state: PoolState, task: string): void {
  const row = state.checkpoints.get(task);
  if (!row) return;
  state.checkpoints.delete(task);
  state.checkpointBytes.value -= row.bytes;
}

export function putDelivery(state: PoolState, row: DeliveryRow): void {
  state.deliveries.set(row.id, row);
  const owed = state.owed.get(row.agent);
  if (owed) owed.add(row.id);
  else state.owed.set(row.agent, new Set([row.id]));
}

export function deleteDelivery(state: PoolState, id: string): void {
  const row = state.deliveries.get(id);
  if (!row) return;
  state.deliveries.delete(id);
  const owed = state.owed.get(row.agent);
  owed?.delete(id);
  if (owed?.size === 0) state.owed.delete(row.agent);
}

/** Nothing is owed to an agent's instance that is gone. */
export function dropOwed(state: PoolState, agent: string): void {
  for (const id of [...(state.owed.get(agent) ?? [])]) deleteDelivery(state, id);
}

/** Rebuilds everything that is derived from the tables. */
export function rebuild(state: PoolState, settings: PoolSettings): void {
  for (const row of state.policies.values()) putPolicy(state, row);
  makeWhole(state);
  for (const row of state.agents.values()) putAgent(state, row, settings);
  for (const row of state.leases.values()) indexLease(state, row);
  for (const row of state.requests.values()) indexRequest(state, row);
  for (const row of state.migrations.values()) indexMigration(state, row, settings);
  for (const row of state.groups.values()) indexGroup(state, row);
  for (const row of state.tasks.values()) if (row.spec.ties) tie(state, undefined, row);
  for (const row of state.tasks.values()) {
    const holder = currentAttempt(row)?.agent;
    if (holder) state.workers.hold(holder, row.id, true);
    indexTask(state, undefined, row, settings);
    referToBudget(state, row.budget, 1);
  }
  for (const row of state.budgets.values()) referToBudget(state, row.parent, 1);
  for (const { items } of state.artefacts.values()) state.artefactBytes.value += bytesOf(items);
  for (const row of state.deadLetters.values()) state.deadBytes.value += row.size;
  for (const row of state.deliveries.values()) putDelivery(state, row);
  for (const row of state.checkpoints.values()) state.checkpointBytes.value += row.bytes;
}

function makeWhole({ agents, leases, tasks }: PoolState): void {
  for (const row of agents.values()) agents.set(row.key, wholeAgent(row));
  for (const row of leases.values()) leases.set(row.id, wholeLease(row));
  for (const row of tasks.values()) tasks.set(row.id, taskWith(row, { attempts: row.attempts.map(wholeAttempt) }));
}

function schedule(due: DueQueue, key: string, at: number | undefined): void {
  if (at === undefined) due.delete(key);
  else due.set(key, at);
}
