import fc from 'fast-check';
import { expect, test } from 'vitest';
import type * as rpc from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { capability, refusal, SERVICE, search, type TestRegistry, testRegistry } from './fixtures.ts';

const TYPES = ['coder', 'tester', 'analyst'];
const SKILLS = ['lint', 'build', 'run'];
const LIVENESS = ['LIVENESS_HEALTHY', 'LIVENESS_SUSPECT', 'LIVENESS_UNREACHABLE'] as const;

const subset = (of: string[]) => fc.uniqueArray(fc.constantFrom(...of), { maxLength: of.length });
const capabilities = fc.uniqueArray(
  fc.record({
    agentType: fc.constantFrom(...TYPES),
    capacity: fc.integer({ min: 1, max: 40 }),
    skills: subset(SKILLS),
    specializations: subset(['ml', 'web']),
  }),
  { selector: (each) => each.agentType, maxLength: 3 },
);
const share = fc.constantFrom(0, 0.25, 0.5, 1);
const load = fc.record({
  agents: fc.integer({ min: 0, max: 20 }),
  utilization: share,
  queuedTasks: fc.integer({ min: 0, max: 100 }),
  errorRate: share,
});
const region = fc.constantFrom('', 'eu', 'us');
const step = fc.record({
  name: fc.constantFrom(...Array.from({ length: 12 }, (_, i) => `s${i}`)),
  action: fc.constantFrom('join', 'join', 'join', 'leave', 'observe', 'beat'),
  capabilities,
  tags: subset(['a', 'b']),
  region,
  liveness: fc.constantFrom(...LIVENESS),
  load,
});
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const wanted = fc.record({
  agentType: fc.constantFrom(...TYPES, 'unheard-of'),
  skills: subset(SKILLS),
  specializations: subset(['ml', 'web']),
  region,
  limit: fc.integer({ min: 0, max: 5 }),
  includeUnreachable: fc.boolean(),
});

function play(registry: TestRegistry, { name, action, ...rest }: Step): void {
  const row = registry.state.swarms.get(name);
  if (action === 'beat') registry.heard.set(name, { at: 1, load: rest.load, phi: 0 });
  else if (action === 'observe') {
    const seen = { name, liveness: rest.liveness, swarmRevision: row?.revision ?? 0, phi: 1, lastHeartbeatAt: 1 };
    registry.execute('observeLiveness', seen, { principal: SERVICE });
  } else if (action === 'join') {
    registry.join(name, { capabilities: rest.capabilities, tags: rest.tags, region: rest.region });
  } else if (row) registry.execute('deregisterSwarm', { name, expectedRevision: '0' });
}

/** The same answer without the index: every swarm is asked for, scored, sorted. */
function scan(registry: TestRegistry, request: rpc.FindSwarmsRequest): [name: string, score: number][] {
  const all = [...registry.state.swarms.values()].flatMap((row) => {
    const alone = testRegistry();
    alone.join(row.name, { capabilities: [...row.capabilities], tags: [...row.tags], region: row.region });
    const seen = { name: row.name, liveness: row.liveness, swarmRevision: 1, phi: 1, lastHeartbeatAt: 1 };
    alone.execute('observeLiveness', seen, { principal: SERVICE });
    const heard = registry.heard.get(row.name);
    if (heard) alone.heard.set(row.name, heard);
    return alone.query('findSwarms', request).swarms;
  });
  const scored = all.map(({ swarm, score }): [string, number] => [swarm?.name ?? '', score?.value ?? -1]);
  scored.sort(([a, x], [b, y]) => y - x || (a < b ? -1 : 1));
  return scored.slice(0, request.limit || 10);
}

function expectSound(score: rpc.Score | undefined): void {
  const parts = score?.parts ?? [];
  expect(parts.reduce((sum, part) => sum + part.weight, 0)).toBeCloseTo(1, 9);
  expect(score?.value).toBeCloseTo(
    parts.reduce((sum, part) => sum + part.weight * part.value, 0),
    9,
  );
  for (const part of parts) {
    expect(part.value).toBeGreaterThanOrEqual(0);
    expect(part.value).toBeLessThanOrEqual(1);
    expect(part.reason).not.toBe('');
  }
}

test('the index gives what a scan of all swarms gives, on every history, and survives replay and restore', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), fc.array(wanted, { maxLength: 4 }), (steps, requests) => {
      const registry = testRegistry();
      for (const each of steps) play(registry, each);
      for (const request of requests) {
        const { swarms, candidates } = registry.query('findSwarms', request);
        expect(swarms.map(({ swarm, score }) => [swarm?.name, score?.value])).toEqual(scan(registry, request));
        const rows = [...registry.state.swarms.values()];
        const offering = rows.filter((row) => row.capabilities.some((c) => c.agentType === request.agentType));
        expect(candidates).toBe(offering.length);
        for (const { score, swarm } of swarms) {
          expectSound(score);
          expectSound(swarm?.health);
        }
      }
      for (const state of [registry.replay(), registry.restore()]) {
        expect(registry.rows(state)).toEqual(registry.rows());
        expect([...state.names]).toEqual([...registry.state.names]);
        expect(state.unreachable.peek()).toBe(registry.state.unreachable.peek());
        for (const type of TYPES) {
          const order = [...registry.state.capabilities.bestFirst(type)];
          expect([...state.capabilities.bestFirst(type)]).toEqual(order);
        }
        for (const liveness of LIVENESS) {
          expect(state.census.get(liveness) ?? 0).toBe(registry.state.census.get(liveness) ?? 0);
        }
      }
    }),
    { numRuns: 150 },
  );
});

test('similarity is 1 for a swarm and itself, the same both ways, and always in 0..1', () => {
  fc.assert(
    fc.property(
      capabilities,
      capabilities,
      subset(['a', 'b']),
      subset(['a', 'b']),
      region,
      region,
      (c, d, t, u, r, s) => {
        const registry = testRegistry();
        registry.join('left', { capabilities: c, tags: t, region: r });
        registry.join('right', { capabilities: d, tags: u, region: s });
        const of = (left: string, right: string) => registry.query('compareSwarms', { left, right }).similarity;
        expectSound(of('left', 'right'));
        expect(of('left', 'right')?.value).toBeCloseTo(of('right', 'left')?.value ?? -1, 9);
        expect(of('left', 'left')?.value).toBeCloseTo(1, 9);
      },
    ),
  );
});

test('a healthy, idle, matching swarm comes first, and says why', () => {
  const registry = testRegistry();
  registry.join('busy', { capabilities: [capability('coder', 8)], region: 'eu' });
  registry.join('idle', { capabilities: [capability('coder', 8, { specializations: ['ml'] })], region: 'eu' });
  registry.join('other', { capabilities: [capability('tester', 100)] });
  const busy = { agents: 8, utilization: 1, queuedTasks: 40, errorRate: 0 };
  registry.heard.set('busy', { at: 1, load: busy, phi: 0 });
  registry.heard.set('idle', { at: 1, load: { ...busy, utilization: 0, queuedTasks: 0 }, phi: 0 });
  const found = registry.query('findSwarms', search('coder', { specializations: ['ml'], region: 'eu' }));
  expect(found.swarms.map(({ swarm }) => swarm?.name)).toEqual(['idle', 'busy']);
  expect(found.candidates).toBe(2);
  const reasons = found.swarms[1]?.score?.parts.map((part) => `${part.name}: ${part.reason}`);
  expect(reasons).toContain('headroom: 100% of its slots are in use');
  expect(reasons).toContain('specializations: 0 of 1 match');
});

test('what a swarm has not reported lowers nothing that is shown of it', () => {
  const registry = testRegistry();
  registry.join('quiet', { capabilities: [capability('coder', 8)] });
  const health = () => registry.query('getSwarm', { name: 'quiet' }).swarm?.health;
  expect(health()?.value).toBe(1);
  expect(health()?.parts.map(({ weight }) => weight)).toEqual([1, 0, 0, 0]);
  const assumed = 'nothing is known: it has never sent a heartbeat, healthy is assumed';
  expect(health()?.parts[0]?.reason).toBe(assumed);
  expect(health()?.parts[1]?.reason).toBe('it has not reported its load, so this does not count');
  const load = { agents: 8, utilization: 1, queuedTasks: 0, errorRate: 0 };
  registry.heard.set('quiet', { at: 1, load, phi: 0 });
  expect(health()?.value).toBeCloseTo(0.75);
});

test('an unreachable swarm is only found when asked for, and is no fallback', () => {
  const registry = testRegistry();
  for (const name of ['a', 'b']) registry.join(name, { capabilities: [capability('coder', 4)] });
  const seen = { name: 'b', liveness: 'LIVENESS_UNREACHABLE', swarmRevision: 2, phi: 9, lastHeartbeatAt: 1 } as const;
  registry.execute('observeLiveness', seen, { principal: SERVICE });
  const names = (request: rpc.FindSwarmsRequest) =>
    registry.query('findSwarms', request).swarms.map(({ swarm }) => swarm?.name);
  expect(names(search('coder'))).toEqual(['a']);
  expect(names(search('coder', { includeUnreachable: true }))).toEqual(['a', 'b']);
  const fallbacks = registry.query('recommendFallbacks', { swarm: 'a', agentType: '', limit: 0 });
  expect(fallbacks.fallbacks).toEqual([]);
});

test('fallbacks resemble the swarm, cover what it offers, and are not the swarm itself', () => {
  const registry = testRegistry();
  const full = [capability('coder', 4, { skills: ['lint'] }), capability('tester', 2)];
  registry.join('lost', { capabilities: full, tags: ['web'], region: 'eu' });
  registry.join('twin', { capabilities: full, tags: ['web'], region: 'eu' });
  registry.join('half', { capabilities: [capability('coder', 4)], region: 'eu' });
  registry.join('none', { capabilities: [capability('analyst', 50)] });
  const { fallbacks } = registry.query('recommendFallbacks', { swarm: 'lost', agentType: '', limit: 0 });
  expect(fallbacks.map(({ swarm }) => swarm?.name)).toEqual(['twin', 'half']);
  for (const { score } of fallbacks) expectSound(score);
  expect(fallbacks[0]?.score?.parts[0]).toMatchObject({ name: 'similarity', value: expect.closeTo(1, 9) });

  const anyone = registry.query('recommendFallbacks', { swarm: '', agentType: 'analyst', limit: 1 });
  expect(anyone.fallbacks.map(({ swarm }) => swarm?.name)).toEqual(['none']);
  const unknown = () => registry.query('recommendFallbacks', { swarm: 'nobody', agentType: '', limit: 0 });
  expect(refusal(unknown)).toMatchObject({ code: 'NOT_FOUND' });
});
