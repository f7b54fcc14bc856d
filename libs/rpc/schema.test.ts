import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import { nearest } from '../kernel/nearest.ts';
import { LogLine, SetPolicyRequest, SubmitTaskRequest, TaskSpec } from '../wire/hivebus/pool/v1/pool.ts';
import { ListSwarmsRequest, PutClusterRequest, RegisterSwarmRequest } from '../wire/hivebus/registry/v1/registry.ts';
import { requestSchema, responseSchema } from './schema.ts';

const register = requestSchema('hivebus.registry.v1.RegisterSwarmRequest');
const submit = requestSchema('hivebus.pool.v1.SubmitTaskRequest');

function faultsOf(run: () => unknown): string[] {
  try {
    run();
  } catch (error) {
    if (!(error instanceof HiveError) || error.code !== 'INVALID_ARGUMENT') throw error;
    return error.violations.map((v) => `${v.field} = ${v.value}: ${v.rule}`);
  }
  throw new Error('nothing was refused');
}

test.each([
  [RegisterSwarmRequest, 'hivebus.registry.v1.RegisterSwarmRequest', {}],
  [
    RegisterSwarmRequest,
    'hivebus.registry.v1.RegisterSwarmRequest',
    { name: 'code', tags: ['a'], capabilities: [{ agentType: 'coder', capacity: 3 }], expectedRevision: '7' },
  ],
  [
    ListSwarmsRequest,
    'hivebus.registry.v1.ListSwarmsRequest',
    { liveness: ['LIVENESS_HEALTHY', 2], linearizable: true },
  ],
  [
    PutClusterRequest,
    'hivebus.registry.v1.PutClusterRequest',
    { spec: { consensusThreshold: 0.5, autoscaling: { topologyRatios: { coder: 60 }, minAgents: 1 } } },
  ],
  [
    SubmitTaskRequest,
    'hivebus.pool.v1.SubmitTaskRequest',
    { spec: { swarm: 'code', payload: { any: [1, null, { deep: true }] }, labels: { a: 'b' } }, id: null },
  ],
  [TaskSpec, 'hivebus.pool.v1.TaskSpec', { payload: 'text', timeoutMs: '5', labels: {} }],
  [SetPolicyRequest, 'hivebus.pool.v1.SetPolicyRequest', { ageingMs: 5 }],
  [SetPolicyRequest, 'hivebus.pool.v1.SetPolicyRequest', { stealAfterMs: 0 }],
  [LogLine, 'hivebus.pool.v1.LogLine', { at: '2026-01-31T12:00:00.000Z', stream: 'LOG_STREAM_STDERR' }],
])('the same object as the generated fromJSON: %#', (message, typeName, json) => {
  expect(requestSchema(typeName).check(json)).toEqual(message.fromJSON(json));
});

test('what is optional and left out is not zero', () => {
  const schema = requestSchema('hivebus.pool.v1.SetPolicyRequest');
  const read = ({ stealAfterMs }: SetPolicyRequest) => stealAfterMs;
  const given = [{}, { stealAfterMs: null }, { stealAfterMs: 0 }, { steal_after_ms: 5 }];
  expect(given.map((json) => read(schema.check(json) as SetPolicyRequest))).toEqual([undefined, undefined, 0, 5]);
});

test('snake_case names, numbers as strings and 64-bit numbers as numbers are taken', () => {
  const json = { agent_type: 'coder', capacity: '12' };
  expect(register.check({ queen_endpoint: 'nats://h', expected_revision: 5, capabilities: [json] })).toMatchObject({
    queenEndpoint: 'nats://h',
    expectedRevision: '5',
    capabilities: [{ agentType: 'coder', capacity: 12 }],
  });
});

test('times are brought to UTC with milliseconds', () => {
  const line = requestSchema('hivebus.pool.v1.LogLine');
  expect(line.check({ at: '2026-01-31T13:00:00+01:00' })).toMatchObject({ at: '2026-01-31T12:00:00.000Z' });
});

test('every fault is told at once, each with its path', () => {
  const faults = faultsOf(() =>
    register.check({
      name: 5,
      tags: ['ok', 1],
      capabilties: [],
      capabilities: [{ agentType: 'a', capacity: -1 }, 'coder', { capacity: 4294967296, skill: [] }],
      expectedRevision: '18446744073709551616',
      queenEndpoint: 'a',
      queen_endpoint: 'b',
    }),
  );
  expect(faults).toEqual([
    'name = 5: must be a string',
    'tags[1] = 1: must be a string',
    'capabilties = []: is not a field of RegisterSwarmRequest; did you mean capabilities?',
    'capabilities[0].capacity = -1: must be a whole number, 0 to 4294967295',
    'capabilities[1] = "coder": must be an object, the JSON of a hivebus.registry.v1.Capability',
    'capabilities[2].capacity = 4294967296: must be a whole number, 0 to 4294967295',
    'capabilities[2].skill = []: is not a field of Capability; did you mean skills?',
    'expectedRevision = "18446744073709551616": must be a whole number, 0 to 18446744073709551615, as a decimal string',
    'queenEndpoint = "b": is given as queen_endpoint too',
  ]);
});

test.each([
  [{ liveness: ['ALIVE'] }, 'liveness[0] = "ALIVE": must be one of LIVENESS_UNSPECIFIED, LIVENESS_HEALTHY, '],
  [{ minRevision: -1 }, 'minRevision = -1: must be a whole number'],
  [{ minRevision: '-1' }, 'minRevision = "-1": must be a whole number'],
  [{ minRevision: 1e300 }, 'must be a whole number'],
  [{ minRevision: '007' }, 'must be a whole number'],
  [{ pageSize: 1.5 }, 'pageSize = 1.5: must be a whole number'],
  [{ linearizable: 'true' }, 'linearizable = "true": must be true or false'],
  [{ tags: 'a' }, 'tags = "a": must be a list'],
  [[], 'message = []: must be an object'],
  [null, 'message = null: must be an object'],
])('refused: %j', (json, expected) => {
  const schema = requestSchema('hivebus.registry.v1.ListSwarmsRequest');
  expect(faultsOf(() => schema.check(json)).join()).toContain(expected);
});

test('maps, times and deep JSON are checked too', () => {
  const deep = JSON.parse('['.repeat(50) + ']'.repeat(50));
  const labels = JSON.parse('{"a": 1, "__proto__": "x"}');
  expect(faultsOf(() => submit.check({ spec: { labels, payload: deep } }))).toEqual([
    'spec.labels["a"] = 1: must be a string',
    'spec.labels = "__proto__": must not be a key',
    'spec.payload = "(deep)": must not nest deeper than 32',
  ]);
  const line = requestSchema('hivebus.pool.v1.LogLine');
  expect(faultsOf(() => line.check({ at: '2026-02-30 12:00' }))[0]).toContain('must be a time such as');
});

test('a payload that is not JSON is refused, an empty one is the empty message', () => {
  expect(faultsOf(() => register.decode(Buffer.from('{"name": ')))[0]).toContain('message = "{\\"name\\": "');
  expect(register.decode(Buffer.alloc(0))).toEqual(RegisterSwarmRequest.fromJSON({}));
});

test('answers of a newer peer are read without what is unknown', () => {
  const schema = responseSchema('hivebus.registry.v1.Swarm');
  expect(schema.check({ name: 'a', colour: 'red', liveness: 'LIVENESS_SLEEPING' })).toMatchObject({
    name: 'a',
    liveness: 'LIVENESS_UNSPECIFIED',
    tags: [],
  });
  expect(schema.check({ name: 'a', colour: 'red' })).not.toHaveProperty('colour');
});

test('the nearest name is offered only when it is near', () => {
  expect(nearest('page-size', ['pageSize', 'pageToken'])).toBe('pageSize');
  expect(nearest('colour', ['pageSize', 'pageToken'])).toBeUndefined();
});

test('a payload is JSON that stays the same: no numbers that JSON lacks, no key that is lost when it is copied', () => {
  const payload = (text: string) => () => submit.decode(Buffer.from(`{"spec":{"payload":${text}}}`));
  expect(faultsOf(payload('[{"x":1e400}]'))).toEqual(['spec.payload = Infinity: must hold finite numbers only']);
  expect(faultsOf(() => submit.check({ spec: { payload: Number.NaN } }))).toEqual([
    'spec.payload = NaN: must hold finite numbers only',
  ]);
  expect(faultsOf(payload('{"a":{"__proto__":{}}}'))).toEqual(['spec.payload = "__proto__": must not be a key']);
  expect(payload('{"constructor":1,"hasOwnProperty":2}')()).toMatchObject({ spec: { payload: { constructor: 1 } } });
});

test('no more faults are looked for than anybody reads', () => {
  const tags = new Array(100_000).fill(1);
  const unknown = Object.fromEntries(tags.map((_, i) => [`nonsense${i}`, 1]));
  expect(faultsOf(() => register.check({ tags }))).toHaveLength(64);
  expect(faultsOf(() => register.check(unknown))).toHaveLength(64);
});
