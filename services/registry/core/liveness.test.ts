import { expect, test } from 'vitest';
import type { Liveness } from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { OPERATOR, refusal, SERVICE, START, type TestRegistry, testRegistry } from './fixtures.ts';

const MINUTE = 60_000;

function observe(registry: TestRegistry, name: string, liveness: Liveness, now: number, revision?: number) {
  const swarmRevision = revision ?? registry.state.swarms.get(name)?.revision ?? 0;
  const seen = { name, liveness, swarmRevision, phi: 9.1234, lastHeartbeatAt: now - 6000 };
  return registry.execute('observeLiveness', seen, { principal: SERVICE, now });
}

function withRemoval(removeAfterMs: number): TestRegistry {
  const registry = testRegistry();
  const settings = { name: 'main', description: '', joinPolicy: 'JOIN_POLICY_OPEN', removeAfterMs } as const;
  registry.execute('adoptFederation', settings, { principal: SERVICE });
  return registry;
}

test('the first heartbeat starts monitoring; after that only changes are events', () => {
  const registry = testRegistry();
  registry.join('code');
  expect(observe(registry, 'code', 'LIVENESS_HEALTHY', START + 1)).toEqual({ changed: true });
  expect(observe(registry, 'code', 'LIVENESS_HEALTHY', START + 2)).toEqual({ changed: false });
  expect(observe(registry, 'code', 'LIVENESS_UNREACHABLE', START + 9000)).toEqual({ changed: true });
  expect(registry.query('getSwarm', { name: 'code' }).swarm).toMatchObject({
    liveness: 'LIVENESS_UNREACHABLE',
    livenessSince: new Date(START + 9000).toISOString(),
    lastHeartbeatAt: new Date(START + 3000).toISOString(),
    monitored: true,
  });
  expect(registry.query('census', {})).toMatchObject({ healthy: 0, suspect: 0, unreachable: 1 });
});

test('a swarm that registers again is healthy again, also when it changed nothing', () => {
  const registry = testRegistry();
  registry.join('code');
  observe(registry, 'code', 'LIVENESS_UNREACHABLE', START + 9000);
  expect(registry.join('code')).toMatchObject({ changed: true, swarmRevision: '1' });
  expect(registry.query('getSwarm', { name: 'code' }).swarm?.liveness).toBe('LIVENESS_HEALTHY');
  expect(registry.query('census', {})).toMatchObject({ healthy: 1, unreachable: 0 });
});

test('what was seen before the last registration, or of a swarm that left, says nothing', () => {
  const registry = testRegistry();
  registry.join('code');
  registry.join('code', { project: 'p' });
  expect(observe(registry, 'code', 'LIVENESS_UNREACHABLE', START + 9000, 1)).toEqual({ changed: false });
  expect(observe(registry, 'gone', 'LIVENESS_UNREACHABLE', START + 9000)).toEqual({ changed: false });
});

test('nobody else reports liveness', () => {
  const registry = testRegistry();
  const seen = { name: 'x', liveness: 'LIVENESS_HEALTHY', swarmRevision: 1, phi: 0, lastHeartbeatAt: 0 } as const;
  const run = () => registry.execute('observeLiveness', seen, { principal: OPERATOR });
  expect(refusal(run)).toMatchObject({ code: 'PERMISSION_DENIED' });
});

test('by default nobody is ever removed', () => {
  const registry = withRemoval(0);
  registry.join('code');
  observe(registry, 'code', 'LIVENESS_UNREACHABLE', START + 9000);
  expect(registry.nextDue()).toBeUndefined();
  expect(registry.tick(START + 1000 * MINUTE)).toEqual([]);
});

test('a swarm that was unreachable for long enough is removed, its name is free', () => {
  const registry = withRemoval(MINUTE);
  for (const name of ['a', 'b', 'c']) registry.join(name);
  observe(registry, 'a', 'LIVENESS_UNREACHABLE', START + 1000);
  observe(registry, 'b', 'LIVENESS_UNREACHABLE', START + 2000);
  observe(registry, 'c', 'LIVENESS_SUSPECT', START + 2000);
  expect(registry.nextDue()).toBe(START + 1000 + MINUTE);
  expect(registry.tick(START + 999 + MINUTE)).toEqual([]);
  expect(registry.tick(START + 1000 + MINUTE)).toEqual([
    { type: 'swarm.removed', data: { name: 'a', reason: 'REMOVAL_REASON_UNREACHABLE', by: '' } },
  ]);
  registry.join('b');
  expect(registry.nextDue()).toBeUndefined();
  expect([...registry.state.names]).toEqual(['b', 'c']);
});

test('the time to removal counts from the new leader at the earliest', () => {
  const registry = withRemoval(MINUTE);
  registry.join('a');
  observe(registry, 'a', 'LIVENESS_UNREACHABLE', START + 1000);
  const epochStart = START + 100 * MINUTE;
  registry.query('census', {}, { epochStart });
  expect(registry.nextDue()).toBe(epochStart + MINUTE);
  expect(registry.tick(epochStart + MINUTE - 1)).toEqual([]);
  expect(registry.tick(epochStart + MINUTE)).toHaveLength(1);
});

test('many are removed in several records, each once', () => {
  const registry = withRemoval(MINUTE);
  for (let i = 0; i < 1200; i++) {
    registry.join(`s${i}`);
    observe(registry, `s${i}`, 'LIVENESS_UNREACHABLE', START + 1000);
  }
  const removed = registry.tick(START + 1000 + MINUTE).map((event) => (event.data as { name: string }).name);
  expect(new Set(removed).size).toBe(1200);
  expect(removed).toHaveLength(1200);
  expect(registry.state.swarms.size).toBe(0);
});
