import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HiveError } from '../../../libs/kernel/errors.ts';
import type { Outcome } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { agent, checkOffers, checkRequests, Pool, queen, spec, wanted } from './fixtures.ts';
import { GroupModel } from './group-model-fixtures.ts';
import {
  checkAgents,
  checkArtefacts,
  checkDeliveries,
  checkDispatch,
  checkMigrations,
  checkRestored,
} from './model-check-fixtures.ts';
import { hostLabels, type Step, SWARMS, step } from './model-step-fixtures.ts';
import { currentAttempt, type MigrationRow } from './rows.ts';
import { DEFAULT_SETTINGS } from './settings.ts';
import { hasEnded } from './task-states.ts';

/** Random histories of a small pool; after each step the invariants of state.ts are checked by brute force. */

const KEPT_LETTERS = 5;

class Model {
  readonly pool = new Pool({
    keepDeadLetters: KEPT_LETTERS,
    keepTasks: 8,
    retentionBatch: 4,
    maxUnconfirmed: 3,
    removeUnreachableMs: 100_000,
  });
  readonly submitted: string[] = [];
  readonly groups = new GroupModel(this.pool, this.submitted);

  constructor(stealAfterMs: number, isBalanced: boolean) {
    const rebalance = { everyMs: 5000, rules: undefined, looks: 1, maxMoves: 1, termMs: 30_000, graceMs: 0 };
    const balances = isBalanced ? { rebalance } : {};
    const change = { typicalCost: 0, ageingMs: 0, expectedVersion: '0', stealAfterMs, ...balances };
    this.pool.run.execute('setPolicy', change);
    const limits = { swarm: 'c', maxRunning: 2, maxLeases: 1, maxQueued: 5, maxRequests: 2 };
    const none = { weight: 0, submitsPerSecond: 0, submitBurst: 0, version: '0', setBy: '' };
    this.pool.run.execute('setSwarmLimits', { limits: { ...none, ...limits }, expectedVersion: '0' });
    const lends = { swarm: 'b', closed: false, to: ['a'], maxLent: 2, keepPercent: 40, recallPriority: 2 };
    const policy = { ...lends, noticeMs: 2000, version: '0', setBy: '' };
    this.pool.run.execute('setLendingPolicy', { policy, expectedVersion: '0' });
  }

  /** Accepted results by task. */
  readonly accepted = new Map<string, unknown>();
  readonly forgotten = new Set<string>();
  /** `<task>.<attempt>` of those whose agent has said how they ended. */
  readonly reported = new Set<string>();

  run(one: Step): void {
    try {
      this.#do(one);
    } catch (error) {
      if (!(error instanceof HiveError) || error.code === 'INTERNAL') throw error;
    }
  }

  #do(one: Step): void {
    const { pool } = this;
    const { run } = pool;
    switch (one.do) {
      case 'register':
        return pool.register(`n${one.agent}`, one);
      case 'submit': {
        const id = `t${this.submitted.length}`;
        const limits = { queuedMs: 0, totalMs: this.submitted.length % 3 === 0 ? 60_000 : 0 };
        const retry = { backoffMs: this.submitted.length % 2 === 0 ? 2000 : 0, maxBackoffMs: 0 };
        const { do: _, parent, ...rest } = one;
        const wanted = spec({ ...rest, maxAttempts: 2, timeoutMs: 8000, limits, retry });
        const origin = parent === null ? undefined : { parent: this.#task(parent), replayOf: '' };
        run.execute('submitTask', { id, spec: wanted, origin }, { principal: pool.operator, now: pool.now });
        this.submitted.push(id);
        return;
      }
      case 'confirm':
        return void pool.confirm(this.#task(one.task));
      case 'report':
        return this.#report(this.#task(one.task), one.outcome);
      case 'stale':
        return this.#reportAttempt(this.#task(one.task), one.attempt);
      case 'checkpoint':
        return this.#checkpoint(this.#task(one.task), one.attempt);
      case 'artefact':
        return this.#artefact(this.#task(one.task), one.attempt);
      case 'cancel':
        return void run.execute('cancelTask', { id: this.#task(one.task), reason: '' });
      case 'observe': {
        const row = run.state.agents.get(`${one.swarm}/n${one.agent}`);
        return row && pool.observe(row.key, one.state, row.instance);
      }
      case 'deregister':
        return void run.execute('deregisterAgent', { swarm: one.swarm, name: `n${one.agent}`, instance: '' });
      case 'drain': {
        const { swarm, agent, graceMs } = one;
        const input = { swarm, name: `n${agent}`, instance: '', graceMs, reason: '' };
        return void run.execute('drainAgent', input, { now: pool.now });
      }
      case 'resume':
        return void run.execute('resumeAgent', { swarm: one.swarm, name: `n${one.agent}` });
      case 'migrate': {
        const { swarm, to, agent, by, graceMs } = one;
        const input = { swarm, name: `n${agent}`, to, newName: `n${agent + 4}`, graceMs, reason: '' };
        const principal = by === 'ada' ? pool.operator : queen(by);
        return void (to !== swarm && run.execute('migrateAgent', input, { principal, now: pool.now }));
      }
      case 'arrive': {
        const move = this.#migration(one.migration);
        const before = run.state.agents.get(move?.agent ?? '');
        if (!move || !before) return;
        const { type, slots, instance, capabilities, allowScripts } = before;
        const offer = { swarm: move.to, type, slots, instance, capabilities: [...capabilities], allowScripts };
        const input = { ...agent(move.name, offer), migration: move.id };
        return void run.execute('registerAgent', input, { now: pool.now });
      }
      case 'stay':
        return void run.execute('cancelMigration', { id: this.#migration(one.migration)?.id ?? '', reason: '' });
      case 'borrow':
        return void run.execute('requestAgent', wanted({ ...one, termMs: 20_000 }));
      case 'ask':
        return void run.execute('requestAgent', wanted({ ...one, termMs: 20_000, waitMs: 60_000 }));
      case 'release':
        return void run.execute('releaseLease', { lease: this.#lease(one.lease) });
      case 'revoke':
        return void run.execute('revokeLease', { lease: this.#lease(one.lease), noticeMs: 5000, reason: '' });
      case 'renew':
        return void run.execute('renewLease', { lease: this.#lease(one.lease) });
      case 'pass':
        return pool.pass(one.ms);
      default:
        return this.groups.run(one);
    }
  }

  #task(index: number): string {
    return this.submitted[index % Math.max(1, this.submitted.length)] ?? 'none';
  }

  #lease(index: number): string {
    const all = [...this.pool.run.state.leases.keys()];
    return all[index % Math.max(1, all.length)] ?? 'none';
  }

  #migration(index: number): MigrationRow | undefined {
    const all = [...this.pool.run.state.migrations.values()];
    return all[index % Math.max(1, all.length)];
  }

  #report(id: string, outcome: Outcome): void {
    const before = this.pool.task(id);
    const result = { attempt: before.attempts.length };
    this.pool.report(id, outcome, result);
    this.reported.add(`${id}.${before.attempts.length}`);
    if (outcome !== 'OUTCOME_SUCCEEDED') return;
    expect(this.accepted.get(id) ?? result).toEqual(result);
    this.accepted.set(id, result);
  }

  /** A report of any attempt; unless it is the current one, it must not change anything. */
  #reportAttempt(id: string, number: number): void {
    const row = this.pool.run.state.tasks.get(id);
    const attempt = row?.attempts[number];
    if (!row || !attempt || attempt === currentAttempt(row)) return;
    const before = JSON.stringify(row);
    const said = { task: id, attempt: attempt.number, instance: attempt.instance, result: 'late', reason: '' };
    const report = () => this.pool.run.execute('reportTask', { ...said, outcome: 'OUTCOME_SUCCEEDED' });
    expect(report).toThrow(expect.objectContaining({ code: 'ABORTED' }));
    expect(JSON.stringify(this.pool.run.state.tasks.get(id))).toBe(before);
  }

  /** A checkpoint of any attempt: only the current one's is taken, once it was confirmed. */
  #checkpoint(id: string, number: number): void {
    const { run } = this.pool;
    const row = run.state.tasks.get(id);
    const attempt = row?.attempts[number];
    if (!row || !attempt) return;
    const isCurrent = attempt === currentAttempt(row) && row.state === 'TASK_STATE_RUNNING';
    const before = run.state.checkpoints.get(id);
    const data = { by: attempt.number };
    const save = () =>
      run.execute('saveCheckpoint', { task: id, attempt: attempt.number, instance: attempt.instance, data });
    if (isCurrent && row.spec.continuity?.resume) expect(save().number).toBe((before?.number ?? 0) + 1);
    else expect(save).toThrow(HiveError);
    expect(run.state.checkpoints.get(id)?.data).toEqual(isCurrent && row.spec.continuity?.resume ? data : before?.data);
  }

  /** An artefact of any attempt: only the current one's is taken. */
  #artefact(id: string, number: number): void {
    const { run } = this.pool;
    const row = run.state.tasks.get(id);
    const attempt = row?.attempts[number];
    if (!row || !attempt) return;
    const artefact = { name: 'a', mediaType: '', bytes: 1 + number, digest: `${number}`, parts: 1, attempt: 0 };
    const add = () =>
      run.execute('addArtefact', { task: id, attempt: attempt.number, instance: attempt.instance, artefact });
    if (attempt === currentAttempt(row) && row.state === 'TASK_STATE_RUNNING') add();
    else expect(add).toThrow(HiveError);
  }

  check(): void {
    const { state } = this.pool.run;
    this.#checkEvents();
    for (const id of this.submitted) expect(state.tasks.has(id) || this.forgotten.has(id)).toBe(true);
    this.#checkTasks();
    checkAgents(state);
    checkDispatch(state);
    checkRequests(state);
    checkOffers(state);
    checkMigrations(state);
    this.groups.check();
    checkDeliveries(state);
    this.#checkContinuity();
    this.#checkBudgets();
    this.#checkDeadLetters();
    checkArtefacts(state);
  }

  #seen = 0;
  /** Tasks that have failed, oldest first. */
  readonly #failed: string[] = [];
  readonly #ended = new Set<string>();
  #checkEvents(): void {
    const { events } = this.pool.run;
    for (; this.#seen < events.length; this.#seen++) {
      const event = events[this.#seen]?.event;
      if (event) this.groups.saw(event);
      if (event?.type === 'task.ended') {
        expect(this.#ended.has(event.data.task), `${event.data.task} ended twice`).toBe(false);
        this.#ended.add(event.data.task);
      }
      if (event?.type === 'task.ended' && event.data.state === 'TASK_STATE_FAILED') this.#failed.push(event.data.task);
      if (event?.type === 'budget.charged') {
        const { budgets } = this.pool.run.state;
        for (let row = budgets.get(event.data.budget); row; row = budgets.get(row.parent))
          this.#charged.set(row.task, (this.#charged.get(row.task) ?? 0) + event.data.units);
      }
      if (event?.type === 'task.forgotten') {
        for (const id of event.data.tasks) {
          expect(this.#ended.has(id)).toBe(true);
          this.forgotten.add(id);
        }
      }
    }
  }

  #checkTasks(): void {
    for (const task of this.pool.run.state.tasks.values()) {
      const open = task.attempts.filter((attempt) => attempt.endedAt === 0);
      const current = currentAttempt(task);
      expect(open).toEqual(current ? [current] : []);
      expect(task.endedAt > 0).toBe(hasEnded(task.state));
      expect(task.attempts.map(({ number }) => number)).toEqual(task.attempts.map((_, i) => i + 1));
      if (task.state === 'TASK_STATE_SUCCEEDED') expect(task.result).toEqual(this.accepted.get(task.id));
    }
  }

  /** Checkpoints are of tasks that have not ended; no attempt begins while somebody may hold the claim of the last one. */
  #checkContinuity(): void {
    const { state } = this.pool.run;
    for (const id of state.checkpoints.keys())
      expect(hasEnded(state.tasks.get(id)?.state ?? 'TASK_STATE_FAILED')).toBe(false);
    const bytes = [...state.checkpoints.values()].reduce((sum, row) => sum + row.bytes, 0);
    expect(state.checkpointBytes.value).toBe(bytes);
    for (const { id, spec, attempts } of state.tasks.values()) {
      if (!spec.continuity?.claim) continue;
      for (const [i, last] of attempts.slice(0, -1).entries()) {
        const isHeld = last.startedAt > 0 && !this.reported.has(`${id}.${last.number}`);
        const begun = attempts[i + 1]?.assignedAt ?? 0;
        if (isHeld) expect(begun).toBeGreaterThanOrEqual(last.endedAt + DEFAULT_SETTINGS.claimMs);
      }
    }
  }

  readonly #charged = new Map<string, number>();
  /** What is used of a budget is what was charged to it and to those below it, and never more than it has. */
  #checkBudgets(): void {
    const { budgets, budgetRefs, tasks } = this.pool.run.state;
    const referrers = new Map<string, number>();
    const count = (budget: string | undefined) => budget && referrers.set(budget, (referrers.get(budget) ?? 0) + 1);
    for (const task of tasks.values()) count(task.budget);
    for (const row of budgets.values()) {
      count(row.parent);
      if (row.spend > 0) expect(row.used).toBeLessThanOrEqual(row.spend);
      expect(row.used).toBe(this.#charged.get(row.task) ?? 0);
    }
    expect(budgetRefs).toEqual(referrers);
    expect([...budgets.keys()].sort()).toEqual([...referrers.keys()].sort());
    for (const task of tasks.values()) {
      const row = budgets.get(task.budget ?? '');
      if (row && row.hops > 0) expect((task.depth ?? 0) - row.depth).toBeLessThanOrEqual(row.hops);
    }
  }

  /** The newest failures, in order. */
  #checkDeadLetters(): void {
    const { deadLetters, deadBytes } = this.pool.run.state;
    const letters = [...deadLetters.values()];
    expect(letters.every(({ row }) => row.state === 'TASK_STATE_FAILED')).toBe(true);
    expect(letters.map(({ row }) => row.id)).toEqual(this.#failed.slice(-KEPT_LETTERS));
    expect(deadBytes.value).toBe(letters.reduce((sum, { size }) => sum + size, 0));
  }

  /** With time and a willing agent of every kind, every task ends. */
  drain(): void {
    const { pool } = this;
    for (const home of SWARMS) {
      for (const kind of ['lint', 'test']) {
        const skills = ['ts', 'js'];
        for (const host of ['h1', 'h2', 'h1-b']) {
          const all = { capabilities: skills, slots: 200, allowScripts: true, labels: hostLabels(host.slice(0, 2)) };
          pool.register(`last-${kind}-${host}`, { swarm: home, type: kind, ...all });
        }
      }
    }
    for (let round = 0; round < 40; round++) {
      const { tasks, groups } = pool.run.state;
      const isOver = [...tasks.values()].every((task) => hasEnded(task.state));
      if (isOver && [...groups.values()].every((group) => group.endedAt > 0)) break;
      pool.pass(30_000);
      this.groups.unblock();
      for (const id of [...pool.run.state.tasks.keys()])
        this.run({ do: 'report', task: this.submitted.indexOf(id), outcome: 'OUTCOME_SUCCEEDED' });
      this.check();
    }
    pool.pass(0);
    for (const task of pool.run.state.tasks.values()) expect(hasEnded(task.state)).toBe(true);
    for (const group of pool.run.state.groups.values()) expect(group.endedAt).toBeGreaterThan(0);
  }
}

const histories = fc.array(step, { minLength: 1, maxLength: 120, size: 'max' });

test('in every history the invariants hold, and replay and restore give the same state', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(histories, fc.constantFrom(0, 3000), fc.boolean(), (steps, stealAfterMs, isBalanced) => {
      const model = new Model(stealAfterMs, isBalanced);
      for (const one of steps) {
        model.run(one);
        model.check();
      }
      checkRestored(model.pool.run);
      model.drain();
    }),
    { numRuns: 60 },
  );
});
