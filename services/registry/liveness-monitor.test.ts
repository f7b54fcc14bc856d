import { expect, test } from 'vitest';
import type { Journal, Role } from '../../libs/journal/journal.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { DEFAULT_PHI_OPTIONS } from '../../libs/protocol/phi-detector.ts';
import { SERVICE, START, type TestRegistry, testRegistry } from './core/fixtures.ts';
import type { LivenessObservation, RegistryShape } from './core/state.ts';
import { LivenessMonitor } from './liveness-monitor.ts';

const SAMPLE_MS = 500;

/** A monitor over a registry in memory, with a clock that the test moves. */
class Stage {
  readonly registry: TestRegistry = testRegistry();
  readonly told: LivenessObservation[] = [];
  readonly monitor: LivenessMonitor;
  role: Role = 'leader';
  #now = 1000;
  #timers: { at: number; run: () => void }[] = [];

  constructor() {
    const clock: Clock = {
      now: () => START + this.#now,
      monotonic: () => this.#now,
      after: (ms, run) => {
        const timer = { at: this.#now + ms, run };
        this.#timers.push(timer);
        return { [Symbol.dispose]: () => void this.#timers.splice(this.#timers.indexOf(timer), 1) };
      },
      defer: (run) => run(),
    };
    const onError = (error: Error) => {
      throw error;
    };
    this.monitor = new LivenessMonitor({
      federation: 'main',
      clock,
      phi: DEFAULT_PHI_OPTIONS,
      sampleMs: SAMPLE_MS,
      onError,
    });
    const stage = this;
    const journal: Pick<Journal<RegistryShape>, 'role' | 'state' | 'execute' | 'onCommitted'> = {
      get role() {
        return stage.role;
      },
      state: this.registry.state,
      execute: async (name, input) => {
        this.told.push(input as LivenessObservation);
        return this.registry.execute(name, input, { principal: SERVICE, now: START + this.#now });
      },
      onCommitted: () => ({ [Symbol.dispose]: () => {} }),
    };
    this.monitor.follow(journal as Journal<RegistryShape>);
    this.registry.join('code');
  }

  /** Lets time pass; heartbeats of `beating` come each second. Commands are told in between. */
  async pass(ms: number, beating: readonly string[] = []): Promise<void> {
    for (const end = this.#now + ms; this.#now < end; ) {
      this.#now += SAMPLE_MS / 2;
      if (this.#now % 1000 === 0) for (const name of beating) this.beat(name);
      const due = this.#timers.filter(({ at }) => at <= this.#now);
      this.#timers = this.#timers.filter(({ at }) => at > this.#now);
      for (const { run } of due) run();
      await new Promise(setImmediate);
    }
  }

  /** This process is not running, while time passes for all others. */
  stopped(ms: number): void {
    this.#now += ms;
  }

  beat(name: string): void {
    const row = this.registry.state.swarms.get(name);
    if (row) this.monitor.beat(row, undefined);
  }

  liveness(name = 'code'): string | undefined {
    return this.registry.state.swarms.get(name)?.liveness;
  }
}

test('only changes are told: the first heartbeat, silence in two steps, the next heartbeat', async () => {
  const stage = new Stage();
  await stage.pass(30_000);
  expect(stage.told).toEqual([]); // it never beat
  await stage.pass(60_000, ['code']);
  expect(stage.told.map(({ liveness }) => liveness)).toEqual(['LIVENESS_HEALTHY']);
  await stage.pass(20_000);
  expect(stage.told.map(({ liveness }) => liveness)).toEqual([
    'LIVENESS_HEALTHY',
    'LIVENESS_SUSPECT',
    'LIVENESS_UNREACHABLE',
  ]);
  expect(stage.told.at(-1)?.phi).toBeGreaterThanOrEqual(8);
  await stage.pass(2000, ['code']);
  expect(stage.liveness()).toBe('LIVENESS_HEALTHY');
  expect(stage.told).toHaveLength(4);
});

test('a standby tells nothing; as a new leader it gives everybody time from then on', async () => {
  const stage = new Stage();
  await stage.pass(10_000, ['code']);
  stage.role = 'standby';
  await stage.pass(60_000);
  expect(stage.told).toHaveLength(1);
  stage.role = 'leader';
  await stage.pass(3000);
  expect(stage.liveness()).toBe('LIVENESS_HEALTHY');
  await stage.pass(10_000);
  expect(stage.liveness()).toBe('LIVENESS_UNREACHABLE');
});

test('after a pause of its own process it does not take the pause for silence', async () => {
  const stage = new Stage();
  await stage.pass(10_000, ['code']);
  stage.stopped(3_600_000);
  await stage.pass(30_000, ['code']);
  expect(stage.told).toHaveLength(1);
});

test('on a machine that pauses it again and again silence is still noticed', async () => {
  const stage = new Stage();
  await stage.pass(60_000, ['code']);
  for (let i = 0; i < 30; i++) {
    stage.stopped(3000);
    await stage.pass(SAMPLE_MS);
  }
  expect(stage.liveness()).toBe('LIVENESS_UNREACHABLE');
});

test('while the bus is away nobody is judged, and then everybody has time to come back', async () => {
  const stage = new Stage();
  await stage.pass(10_000, ['code']);
  stage.monitor.deaf();
  await stage.pass(60_000);
  stage.monitor.hearing();
  await stage.pass(30_000, ['code']);
  expect(stage.told).toHaveLength(1);
});

test('a new leader of swarms that it never heard waits for them, and then says that they are gone', async () => {
  const stage = new Stage();
  const seen = { name: 'code', liveness: 'LIVENESS_HEALTHY', swarmRevision: 1, phi: 0, lastHeartbeatAt: 5 } as const;
  stage.registry.execute('observeLiveness', seen, { principal: SERVICE });
  await stage.pass(3000);
  expect(stage.liveness()).toBe('LIVENESS_HEALTHY');
  await stage.pass(10_000);
  expect(stage.liveness()).toBe('LIVENESS_UNREACHABLE');
});

test('who was heard is known with load and phi, and forgotten with the swarm', async () => {
  const stage = new Stage();
  expect(stage.monitor.heard('code')).toBeUndefined();
  const row = stage.registry.state.swarms.get('code');
  const load = { agents: 1, utilization: 0.5, queuedTasks: 0, errorRate: 0 };
  if (row) stage.monitor.beat(row, load);
  expect(stage.monitor.heard('code')).toMatchObject({ load });
  stage.registry.execute('deregisterSwarm', { name: 'code', expectedRevision: '0' });
  await stage.pass(1000);
  expect(stage.monitor.heard('code')).toBeUndefined();
});
