import fc from 'fast-check';
import { expect, test } from 'vitest';
import { HiveError } from '../../../libs/kernel/errors.ts';
import { HOST_LABEL, KEEPS_VOLUMES } from '../../../libs/protocol/volumes.ts';
import type { Outcome, TaskVolumes } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { otherVoters } from './ballot.ts';
import { agent, checkOffers, checkRequests, isAtLimit, Pool, queen, spec, wanted } from './fixtures.ts';
import { GroupModel, groupSteps } from './group-model-fixtures.ts';
import { meets, wishOfTask } from './need.ts';
import { currentAttempt, isDelayed, type MigrationRow } from './rows.ts';
import { DEFAULT_SETTINGS } from './settings.ts';
import type { PoolState } from './state.ts';
import { hasEnded } from './task-states.ts';
import { offerOf, type Worker } from './workers.ts';

/** Random histories of a small pool; after each step the invariants of state.ts are checked by brute force. */

const SWARMS = ['a', 'b', 'c'] as const;
const OUTCOMES: readonly Outcome[] = [
  'OUTCOME_SUCCEEDED',
  'OUTCOME_SUCCEEDED',
  'OUTCOME_FAILED',
  'OUTCOME_TERMINAL',
  'OUTCOME_TIMED_OUT',
  'OUTCOME_CANCELLED',
  'OUTCOME_LOST',
];

const hostLabels = (host: string) => ({ [KEEPS_VOLUMES]: 'yes', [HOST_LABEL]: host });
const KEPT_LETTERS = 5;
const CONTINUITIES = [
  { resume: true, claim: false },
  { resume: true, claim: true },
];

const swarm = fc.constantFrom(...SWARMS);
const type = fc.constantFrom('lint', 'test');
const capabilities = fc.constantFrom<string[]>([], ['ts'], ['js'], ['ts', 'js']);
const agentIndex = fc.nat({ max: 3 });
const taskIndex = fc.nat({ max: 40 });

const step = fc.oneof(
  ...groupSteps,
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('register' as const),
      swarm,
      type,
      capabilities,
      agent: agentIndex,
      slots: fc.integer({ min: 1, max: 3 }),
      instance: fc.constantFrom('i1', 'i2', 'i3'),
      allowScripts: fc.boolean(),
      cost: fc.constantFrom(0, 3),
      labels: fc.constantFrom({}, hostLabels('h1'), hostLabels('h2')),
    }),
  },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('submit' as const),
      swarm,
      type,
      capabilities,
      script: fc.constantFrom('', '', 'true'),
      priority: fc.nat({ max: 2 }),
      continuity: fc.constantFrom(undefined, ...CONTINUITIES),
      budget: fc.constantFrom(undefined, undefined, { spend: 5, hops: 0 }, { spend: 40, hops: 2 }),
      parent: fc.option(taskIndex),
      volumes: fc.constantFrom<(TaskVolumes | undefined)[]>(undefined, undefined, { names: ['w'] }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('checkpoint' as const), task: taskIndex, attempt: fc.nat({ max: 3 }) }),
  },
  { weight: 5, arbitrary: fc.record({ do: fc.constant('confirm' as const), task: taskIndex }) },
  {
    weight: 7,
    arbitrary: fc.record({
      do: fc.constant('report' as const),
      task: taskIndex,
      outcome: fc.constantFrom(...OUTCOMES),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('stale' as const), task: taskIndex, attempt: fc.nat({ max: 3 }) }),
  },
  {
    weight: 2,
    arbitrary: fc.record({ do: fc.constant('artefact' as const), task: taskIndex, attempt: fc.nat({ max: 3 }) }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel' as const), task: taskIndex }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('observe' as const),
      swarm,
      agent: agentIndex,
      state: fc.constantFrom('READY' as const, 'SUSPECT' as const, 'UNREACHABLE' as const),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('deregister' as const), swarm, agent: agentIndex }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('drain' as const),
      swarm,
      agent: agentIndex,
      graceMs: fc.constantFrom(0, 3000, 60_000),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('resume' as const), swarm, agent: agentIndex }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('migrate' as const),
      swarm,
      to: swarm,
      agent: agentIndex,
      by: fc.constantFrom('a', 'b', 'c', 'ada'),
      graceMs: fc.constantFrom(0, 3000),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('arrive' as const), migration: fc.nat({ max: 5 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('stay' as const), migration: fc.nat({ max: 5 }) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant('borrow' as const), swarm, type, capabilities }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('ask' as const), swarm, type, capabilities }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('release' as const), lease: fc.nat({ max: 10 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('revoke' as const), lease: fc.nat({ max: 10 }) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('renew' as const), lease: fc.nat({ max: 10 }) }) },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(10, 4000, 11_000, 70_000) }),
  },
);

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

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
    this.#checkAgents();
    this.#checkDispatch();
    checkRequests(state);
    checkOffers(state);
    this.#checkMigrations();
    this.groups.check();
    this.#checkDeliveries();
    this.#checkContinuity();
    this.#checkBudgets();
    this.#checkDeadLetters();
    this.#checkArtefacts();
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

  #checkAgents(): void {
    const { state } = this.pool.run;
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
  #checkMigrations(): void {
    const { state } = this.pool.run;
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

  #checkDispatch(): void {
    const { state } = this.pool.run;
    for (const task of state.tasks.values()) {
      if (task.state !== 'TASK_STATE_QUEUED' || isDelayed(task) || isAtLimit(state, task.spec.swarm, 'running'))
        continue;
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

  #checkDeliveries(): void {
    const { state } = this.pool.run;
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

  /** Artefacts are of tasks that are kept, and of the last attempt of each. */
  #checkArtefacts(): void {
    const { artefacts, artefactBytes, tasks } = this.pool.run.state;
    let bytes = 0;
    for (const [id, { items }] of artefacts.entries()) {
      for (const item of items) {
        bytes += item.bytes;
        expect(item.attempt).toBe(tasks.get(id)?.attempts.length);
      }
    }
    expect(artefactBytes.value).toBe(bytes);
  }

  finish(): void {
    const { run } = this.pool;
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

const told = (worker: Worker | undefined) => [
  ...[worker?.busy, worker?.standing, worker?.merit, worker?.rank, worker?.offer.counts],
  [...(worker?.offer.own.inOrder() ?? [])].map(({ row }) => row.key),
];

const histories = fc.array(step, { minLength: 1, maxLength: 120, size: 'max' });

test('in every history the invariants hold, and replay and restore give the same state', { timeout: 120_000 }, () => {
  fc.assert(
    fc.property(histories, fc.constantFrom(0, 3000), fc.boolean(), (steps, stealAfterMs, isBalanced) => {
      const model = new Model(stealAfterMs, isBalanced);
      for (const one of steps) {
        model.run(one);
        model.check();
      }
      model.finish();
      model.drain();
    }),
    { numRuns: 60 },
  );
});
