import { expect } from 'vitest';
import { otherVoters } from './ballot.ts';
import { isAtLimit, type Pool } from './fixtures.ts';
import { SWARMS } from './model-step-fixtures.ts';
import { meets, wishOfTask } from './need.ts';
import { currentAttempt, isDelayed } from './rows.ts';
import type { PoolState } from './state.ts';
import { offerOf, type Worker } from './workers.ts';

/** Invariants of state.ts, by brute force, as far as they can be seen in one state. */

export function checkAgents(state: PoolState): void {
  for (const agent of state.agents.values()) {
    const tasks = [...state.tasks.values()].filter((task) => currentAttempt(task)?.agent === agent.key);
    expect(tasks.length).toBeLessThanOrEqual(agent.slots);
    expect(state.workers.get(agent.key)?.busy).toBe(tasks.length);
    for (const task of tasks) expect(currentAttempt(task)?.instance).toBe(agent.instance);
    if (agent.state === 'AGENT_STATE_UNREACHABLE') expect(tasks).toEqual([]);
    const lease = state.leases.get(agent.lease);
    expect(lease?.state).toBe(
      agent.lease === '' ? undefined : agent.draining ? 'LEASE_STATE_DRAINING' : 'LEASE_STATE_ACTIVE',
    );
    expect(agent.serving).toBe(lease?.borrower ?? agent.home);
    if (agent.lameDuck?.isDrained) expect(tasks).toEqual([]);
    else if (agent.lameDuck) expect(tasks.length).toBeGreaterThan(0);
    if (agent.lameDuck) expect(lease?.state).not.toBe('LEASE_STATE_ACTIVE');
    if (agent.draining) expect(tasks.some((task) => currentAttempt(task)?.lease === agent.lease)).toBe(true);
  }
  for (const lease of state.leases.values()) {
    if (lease.endedAt === 0) expect(state.agents.get(lease.agent)?.lease).toBe(lease.id);
  }
}

/** An agent is drained for the migration that it is in, and for none that is over or not agreed yet. */
export function checkMigrations(state: PoolState): void {
  const drainedFor = new Map<string, string>();
  for (const agent of state.agents.values()) {
    if (agent.lameDuck?.migration) drainedFor.set(agent.lameDuck.migration, agent.key);
  }
  for (const move of state.migrations.values()) {
    const isUnderWay = move.state === 'MIGRATION_STATE_DRAINING' || move.state === 'MIGRATION_STATE_TRANSFERRING';
    expect(drainedFor.get(move.id)).toBe(isUnderWay ? move.agent : undefined);
    if (!isUnderWay) continue;
    const isDrained = state.agents.get(move.agent)?.lameDuck?.isDrained;
    expect(isDrained).toBe(move.state === 'MIGRATION_STATE_TRANSFERRING');
    expect(move.given && move.taken).toBe(true);
    expect(state.moving.of(move.agent)).toBe(move.id);
  }
}

export function checkDispatch(state: PoolState): void {
  for (const task of state.tasks.values()) {
    if (task.state !== 'TASK_STATE_QUEUED' || isDelayed(task) || isAtLimit(state, task.spec.swarm, 'running')) continue;
    for (const agent of state.agents.values()) {
      const isOpen = agent.state === 'AGENT_STATE_READY' && !agent.draining && !agent.lameDuck;
      const fits = agent.serving === task.spec.swarm && agent.type === task.spec.type;
      const busy = state.workers.get(agent.key)?.busy ?? 0;
      const voters = state.ties.members(task.spec.ties?.vote ? task.spec.ties.group : '')?.voters;
      if (otherVoters(voters, undefined, task.id).has(agent.key)) continue;
      const couldRun = isOpen && fits && meets(offerOf(agent), wishOfTask(task).need) && busy < agent.slots;
      expect(couldRun, `${task.id} waits and ${agent.key} is free`).toBe(false);
    }
  }
}

export function checkDeliveries(state: PoolState): void {
  for (const task of state.tasks.values()) {
    if (task.state === 'TASK_STATE_ASSIGNED')
      expect(state.deliveries.has(`${task.id}.${task.attempts.length}.assign`)).toBe(true);
  }
  for (const row of state.deliveries.values()) {
    if (row.kind === 'bury') continue;
    expect(state.agents.get(row.agent)?.instance).toBe(row.instance);
    if (row.kind === 'assign') expect(state.tasks.get(row.task)?.state).toBe('TASK_STATE_ASSIGNED');
  }
}

/** Artefacts are of tasks that are kept, and of the last attempt of each. */
export function checkArtefacts(state: PoolState): void {
  const { artefacts, artefactBytes, tasks } = state;
  let bytes = 0;
  for (const [id, { items }] of artefacts.entries()) {
    for (const item of items) {
      bytes += item.bytes;
      expect(item.attempt).toBe(tasks.get(id)?.attempts.length);
    }
  }
  expect(artefactBytes.value).toBe(bytes);
}

/** Replay and restore give the same state. */
export function checkRestored(run: Pool['run']): void {
  const rows = JSON.parse(JSON.stringify(run.rows()));
  expect(JSON.parse(JSON.stringify(run.rows(run.replay())))).toEqual(rows);
  const restored = run.restore();
  expect(JSON.parse(JSON.stringify(run.rows(restored)))).toEqual(rows);
  for (const key of run.state.agents.keys()) {
    const [kept, made] = [run.state.workers.get(key), restored.workers.get(key)];
    expect(told(made)).toEqual(told(kept));
  }
  const sizes = ({ queue, endedTasks, asking, usage, stealing }: PoolState) => [
    ...[queue.size, endedTasks.size, asking.size, stealing.tasks.size],
    ...SWARMS.flatMap((each) => [...stealing.leasesOf(each)]),
    ...SWARMS.flatMap((each) => [usage.running, usage.queued, usage.leases, usage.requests].map((of) => of.of(each))),
  ];
  expect(sizes(restored)).toEqual(sizes(run.state));
}

const told = (worker: Worker | undefined) => [
  ...[worker?.busy, worker?.standing, worker?.merit, worker?.rank, worker?.offer.counts],
  [...(worker?.offer.own.inOrder() ?? [])].map(({ row }) => row.key),
];
