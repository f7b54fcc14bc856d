import { expect, test } from 'vitest';
import type { Committed, Journal, Role } from '../../libs/journal/journal.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { DEFAULT_PHI_OPTIONS } from '../../libs/protocol/phi-detector.ts';
import type { Heard, Whom } from './agent-line.ts';
import { Pool, START, shell } from './core/fixtures.ts';
import type { AgentRow } from './core/rows.ts';
import type { Observation, PoolShape } from './core/state.ts';
import { Liveness } from './liveness.ts';

const SAMPLE_MS = 200;
const STEP_MS = 25;

/** A detector over a pool in memory with one agent `a/x`, and a clock that the test moves. */
class Stage {
  readonly pool = new Pool();
  readonly told: string[] = [];
  readonly liveness: Liveness;
  role: Role = 'leader';
  connection: Heard = 'silent';
  /** Which agents were asked, one after the other. */
  readonly asked: string[] = [];
  /** A question that it takes for itself is never answered. */
  swallows: (agent: string) => boolean = () => false;
  #now = 1000;
  #listener: ((committed: Committed<PoolShape>) => void) | undefined;
  #told = 0;
  readonly #timers = new Set<{ readonly at: number; readonly run: () => void }>();

  constructor() {
    const clock: Clock = {
      now: () => START + this.#now,
      monotonic: () => this.#now,
      after: (ms, run) => {
        const timer = { at: this.#now + ms, run };
        this.#timers.add(timer);
        return { [Symbol.dispose]: () => void this.#timers.delete(timer) };
      },
      defer: (run) => run(),
    };
    const line = {
      probe: ({ agent }: Whom) => {
        this.asked.push(agent);
        return this.swallows(agent) ? new Promise<Heard>(() => {}) : Promise.resolve(this.connection);
      },
    };
    const onError = (error: Error) => {
      throw error;
    };
    const options = { phi: DEFAULT_PHI_OPTIONS, sampleMs: SAMPLE_MS, probeBusyMs: 100, settleMs: 2000 };
    this.liveness = new Liveness({ ...options, line, clock, onError });
    this.liveness.follow(this.#journal());
    this.pool.register('x');
  }

  /** Lets time pass; with `beating` a heartbeat comes each second. */
  async pass(ms: number, beating = false): Promise<void> {
    for (const end = this.#now + ms; this.#now < end; ) {
      this.#now += STEP_MS;
      this.#announce();
      if (beating && this.#now % 1000 === 0) this.beat();
      for (const timer of [...this.#timers]) {
        if (timer.at <= this.#now && this.#timers.delete(timer)) timer.run();
      }
      await new Promise(setImmediate);
    }
  }

  /** This process is not running, while time passes for all others. */
  sleep(ms: number): void {
    this.#now += ms;
  }

  get row(): AgentRow {
    return this.pool.run.state.agents.get('a/x') as AgentRow;
  }

  beat(bySession = false): void {
    this.liveness.beat(this.row, bySession);
  }

  /** What has been decided since the last time. */
  #announce(): void {
    const events = this.pool.run.events.slice(this.#told).map(({ event }) => event);
    this.#told += events.length;
    if (events.length > 0) this.#listener?.({ revision: this.#told, time: 0, epoch: 1, events });
  }

  #journal(): Journal<PoolShape> {
    const stage = this;
    const journal: Pick<Journal<PoolShape>, 'role' | 'state' | 'federation' | 'execute' | 'onCommitted'> = {
      federation: 'main',
      state: this.pool.run.state,
      get role() {
        return stage.role;
      },
      execute: async (name, input) => {
        const { state, reason } = input as Observation;
        this.told.push(`${state.slice('AGENT_STATE_'.length)}: ${reason}`);
        return this.pool.run.execute(name, input, { principal: shell });
      },
      onCommitted: (listener) => {
        stage.#listener = listener;
        return { [Symbol.dispose]: () => {} };
      },
    };
    return journal as Journal<PoolShape>;
  }
}

test('who beats is neither asked nor judged', async () => {
  const stage = new Stage();
  await stage.pass(60_000, true);
  expect([stage.told, stage.asked]).toEqual([[], []]);
});

test('silence on an open connection: suspect, unreachable, and ready with the next heartbeat', async () => {
  const stage = new Stage();
  await stage.pass(10_000, true);
  await stage.pass(10_000);
  expect(stage.told.map((text) => text.split(':')[0])).toEqual(['SUSPECT', 'UNREACHABLE']);
  stage.beat();
  await stage.pass(5000, true);
  expect(stage.told.at(-1)).toBe('READY: its heartbeats are back');
});

test('a closed connection is asked for twice, in a quarter of a second when the agent has work', async () => {
  const stage = new Stage();
  await stage.pass(10_000, true);
  stage.pool.submit('t1');
  await stage.pass(5000, true);
  expect(stage.told).toEqual([]);
  stage.connection = 'nobody';
  await stage.pass(250);
  expect(stage.told).toEqual(['UNREACHABLE: its connection is closed']);
  const asked = stage.asked.length;
  await stage.pass(5000);
  expect(stage.asked.length).toBe(asked); // who is known to be gone is left alone
});

test('a question that an agent took with it into death keeps nobody from asking again', async () => {
  const stage = new Stage();
  stage.pool.submit('t1');
  await stage.pass(2500, true);
  stage.swallows = () => stage.asked.length % 2 === 1;
  stage.connection = 'nobody';
  await stage.pass(500);
  expect(stage.told).toEqual(['UNREACHABLE: its connection is closed']);
});

test('an agent with work is asked ten times a second, and not any more when its work is done', async () => {
  const stage = new Stage();
  stage.pool.submit('t1');
  await stage.pass(2000, true);
  const before = stage.asked.length;
  await stage.pass(10_000, true);
  expect(stage.asked.length - before).toBeGreaterThan(80);
  expect(stage.asked.length - before).toBeLessThanOrEqual(100);
  stage.pool.confirm('t1');
  stage.pool.report('t1');
  await stage.pass(200, true);
  const after = stage.asked.length;
  await stage.pass(10_000, true);
  expect(stage.asked.length).toBe(after);
});

test('of a thousand agents with work each is asked in its turn, 500 in a second', async () => {
  const stage = new Stage();
  for (let i = 0; i < 1000; i++) stage.pool.register(`y${i}`);
  for (let i = 0; i < 1001; i++) stage.pool.submit(`t${i}`);
  await stage.pass(2000);
  const before = stage.asked.length;
  await stage.pass(2000);
  expect(stage.asked.length - before).toBe(1000);
  expect(new Set(stage.asked.slice(before)).size).toBe(1000);
});

test('who was heard since the bus is back gets no time to come back', async () => {
  const stage = new Stage();
  await stage.pass(3000, true);
  stage.pool.submit('t1');
  stage.liveness.deaf();
  await stage.pass(1000);
  stage.liveness.hearing();
  stage.connection = 'nobody';
  await stage.pass(1000);
  expect(stage.told).toEqual([]);
  stage.beat();
  await stage.pass(300);
  expect(stage.told).toEqual(['UNREACHABLE: its connection is closed']);
});

test('nor who has registered just after the pool has started', async () => {
  const stage = new Stage();
  stage.pool.submit('t1');
  stage.connection = 'nobody';
  await stage.pass(300);
  expect(stage.told).toEqual(['UNREACHABLE: its connection is closed']);
});

test('an agent by a session has the time to come back by another replica', async () => {
  const stage = new Stage();
  await stage.pass(3000, true);
  stage.pool.submit('t1');
  stage.beat(true);
  stage.connection = 'nobody';
  await stage.pass(1900);
  stage.connection = 'answered';
  await stage.pass(500);
  expect(stage.told).toEqual([]);
  stage.beat(true);
  stage.connection = 'nobody';
  await stage.pass(1900);
  expect(stage.told).toEqual([]);
  await stage.pass(500);
  expect(stage.told).toEqual(['UNREACHABLE: its connection is closed']);
});

test('an agent that has broken off its session is asked for at once', async () => {
  const stage = new Stage();
  await stage.pass(3000, true);
  stage.beat(true);
  stage.connection = 'nobody';
  stage.liveness.brokeOff(stage.row);
  await stage.pass(150);
  expect(stage.told).toEqual(['UNREACHABLE: its connection is closed']);
});

test('an idle agent is asked when its heartbeat is late', async () => {
  const stage = new Stage();
  await stage.pass(10_000, true);
  stage.connection = 'nobody';
  await stage.pass(1000);
  expect(stage.told).toEqual([]);
  await stage.pass(1500);
  expect(stage.told).toEqual(['UNREACHABLE: its connection is closed']);
});

test('who is kept from running now and then finds out who is silent nevertheless, and nobody who is not', async () => {
  const stage = new Stage();
  await stage.pass(10_000, true);
  for (let round = 0; round < 20; round++) {
    stage.sleep(1500);
    await stage.pass(round % 2 === 0 ? 0 : 200); // what came meanwhile is read before the first look, or after it
    stage.beat();
    await stage.pass(600);
  }
  expect(stage.told).toEqual([]);
  for (let round = 0; round < 10; round++) {
    await stage.pass(500);
    stage.sleep(1500);
  }
  expect(stage.told.map((text) => text.split(':')[0])).toEqual(['SUSPECT', 'UNREACHABLE']);
});

test('nobody is judged by who does not lead, was asleep, or lost the bus', async () => {
  const stage = new Stage();
  await stage.pass(10_000, true);
  stage.role = 'standby';
  await stage.pass(60_000);
  stage.role = 'leader';
  await stage.pass(4000);
  stage.sleep(60_000);
  await stage.pass(4000);
  stage.liveness.deaf();
  stage.connection = 'nobody';
  await stage.pass(60_000);
  stage.liveness.hearing();
  await stage.pass(1500);
  expect(stage.told).toEqual([]);
  await stage.pass(2000);
  expect(stage.told).toEqual(['UNREACHABLE: its connection is closed']);
});
