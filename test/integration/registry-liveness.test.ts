import { afterEach, beforeEach, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { Liveness } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { FAST, type Harness, startHarness } from './registry-harness.ts';

let hive: Harness;
const beating = new Map<string, NodeJS.Timeout>();

beforeEach(async () => {
  hive = await startHarness();
});

afterEach(async () => {
  for (const timer of beating.values()) clearInterval(timer);
  await hive[Symbol.asyncDispose]();
});

/** A swarm that registers and beats until `silence`. */
async function alive(name: string): Promise<void> {
  await hive.as(`swarm:${name}`).registerSwarm({ name });
  beat(name);
  await until(async () => (await swarm(name))?.monitored);
}

function beat(name: string): void {
  const load = { agents: 2, utilization: 0.5, queuedTasks: 1, errorRate: 0 };
  const subject = `hive.main.heartbeat.${name}`;
  beating.set(
    name,
    setInterval(() => hive.publish(subject, { swarm: name, load }, `swarm:${name}`), 20),
  );
}

function silence(name: string): void {
  clearInterval(beating.get(name));
  beating.delete(name);
}

const swarm = async (name: string) =>
  (
    await hive
      .as('')
      .getSwarm({ name })
      .catch(() => undefined)
  )?.swarm;
const is = (name: string, liveness: Liveness) => until(async () => (await swarm(name))?.liveness === liveness);

test('silence makes a swarm unreachable, shown with since when; a heartbeat heals it', async () => {
  await hive.start();
  await alive('code');
  await alive('test');
  await until(async () => (await swarm('code'))?.load?.utilization === 0.5);
  silence('code');
  await is('code', 'LIVENESS_UNREACHABLE');
  const lost = await swarm('code');
  expect(lost?.health?.value).toBeLessThan((await swarm('test'))?.health?.value ?? 0);
  expect(Date.parse(lost?.livenessSince ?? '')).toBeGreaterThanOrEqual(Date.parse(lost?.lastHeartbeatAt ?? ''));
  expect((await swarm('test'))?.liveness).toBe('LIVENESS_HEALTHY');
  expect(await hive.as('').getFederation({})).toMatchObject({ healthy: 1, unreachable: 1 });
  beat('code');
  await is('code', 'LIVENESS_HEALTHY');
});

test('registering again heals, a swarm that never beat is not suspected, forged heartbeats do not count', async () => {
  await hive.start();
  await hive.as('swarm:quiet').registerSwarm({ name: 'quiet' });
  await alive('code');
  silence('code');
  await is('code', 'LIVENESS_UNREACHABLE');
  for (const who of ['', 'swarm:quiet', 'agent:code/a1'])
    hive.publish('hive.main.heartbeat.code', { swarm: 'code' }, who);
  hive.publish('hive.main.heartbeat.code', { swarm: 'quiet' }, 'swarm:quiet');
  hive.publish('hive.main.heartbeat.code', 'nonsense', 'swarm:code');
  await hive.as('').listSwarms({ linearizable: true });
  expect(await swarm('code')).toMatchObject({ liveness: 'LIVENESS_UNREACHABLE' });
  expect(await swarm('quiet')).toMatchObject({ liveness: 'LIVENESS_HEALTHY', monitored: false });
  // Told by the event, not by a later look: by then it may be unreachable again, since it stays silent.
  const told: unknown[] = [];
  hive.nc.subscribe('hive.main.registry.swarm.liveness.code', {
    callback: (_, message) => void told.push(message.json<{ liveness: Liveness }>().liveness),
  });
  await hive.nc.flush();
  const healed = await hive.as('swarm:code').registerSwarm({ name: 'code' });
  expect(healed.changed).toBe(true);
  await until(async () => told.includes('LIVENESS_HEALTHY'));
});

test('a swarm is removed after the time that the federation allows, and not before', async () => {
  await hive.start();
  await alive('code');
  silence('code');
  await is('code', 'LIVENESS_UNREACHABLE');
  await hive.as('operator:ada').updateFederation({ name: 'main', removeAfterMs: 1000 });
  await until(async () => (await swarm('code')) === undefined);
});

test('a restarted registry declares nobody dead, keeps what it knew, and notices who stays silent', async () => {
  const first = await hive.start();
  await alive('code');
  await alive('gone');
  await first[Symbol.asyncDispose]();
  silence('gone');
  const second = await hive.start({ ...FAST, phi: { ...FAST.phi, acceptablePauseMs: 600 } });
  const changes: string[] = [];
  hive.nc.subscribe('hive.main.registry.swarm.liveness.>', {
    callback: (_, message) => void changes.push(message.subject.split('.').at(-1) ?? ''),
  });
  await is('gone', 'LIVENESS_UNREACHABLE');
  expect(await swarm('code')).toMatchObject({ liveness: 'LIVENESS_HEALTHY', monitored: true });
  expect(changes).not.toContain('code');
  await second[Symbol.asyncDispose]();
});

test('a standby hears what the leader hears: when it takes over, nobody is declared dead, and silence is noticed', async () => {
  const leader = await hive.start();
  await hive.start();
  await alive('code');
  await leader[Symbol.asyncDispose]();
  await hive.as('swarm:code').registerSwarm({ name: 'code', project: 'after' });
  expect((await swarm('code'))?.liveness).toBe('LIVENESS_HEALTHY');
  silence('code');
  await is('code', 'LIVENESS_UNREACHABLE');
});
