import { expect, test } from 'vitest';
import { specDigest } from '../protocol/spec-digest.ts';
import { requestSchema, responseSchema } from '../rpc/schema.ts';
import type { Assignment, SubmitTaskRequest, TaskSpec } from '../wire/hivebus/pool/v1/pool.ts';
import { type Asked, confirm } from './confirm.ts';

const PAYLOADS = [
  undefined,
  null,
  0,
  'text',
  [1, { b: 2, a: [] }],
  { 2: 'x', 1: -0.5, ü: '\u2028', z: null, nested: {} },
];

const NOTHING_KEPT = { checkpoint: 0, claimMs: 0, dependencies: [] };

/** A spec as a client submits it and the pool keeps it. */
function submitted(spec: object): TaskSpec {
  const json = JSON.stringify({ spec: { swarm: 'a', type: 't', ...spec } });
  const request = requestSchema('hivebus.pool.v1.SubmitTaskRequest').decode(Buffer.from(json)) as SubmitTaskRequest;
  return request.spec as TaskSpec;
}

/** The same as an agent gets it, after the journal and the bus. */
function delivered(spec: TaskSpec): Assignment {
  const kept = JSON.parse(JSON.stringify(spec));
  const json = JSON.stringify({ task: 't1', attempt: 1, agent: 'a/x', instance: 'i', spec: kept, epoch: '1' });
  return responseSchema('hivebus.pool.v1.Assignment').decode(Buffer.from(json)) as Assignment;
}

test.each(PAYLOADS)('the digest of a spec is the same at the pool and at the agent: payload %j', (payload) => {
  const spec = submitted({ payload, labels: { b: '1', a: '2' }, capabilities: ['x'] });
  expect(specDigest(delivered(spec).spec as TaskSpec)).toBe(specDigest(spec));
});

test('whatever decides what an agent does changes the digest', () => {
  const spec = submitted({ payload: 1 });
  const others = [
    { payload: 2 },
    { script: 'x' },
    { title: 'x' },
    { timeoutMs: 7 },
    { labels: { a: 'b' } },
    { swarm: 'b' },
    { continuity: { resume: true, claim: false } },
    { continuity: { resume: false, claim: true } },
    { volumes: { names: ['a'] } },
  ];
  for (const other of others) expect(specDigest({ ...spec, ...other })).not.toBe(specDigest(spec));
});

test('the pool is asked for the spec only when the one that came is another, or none', async () => {
  const spec = submitted({ script: 'echo good' });
  let asked = 0;
  const hive = (cancel: boolean): Asked => ({
    pool: {
      confirmAssignment: async () => ({
        cancel,
        revision: '7',
        epoch: '3',
        specDigest: specDigest(spec),
        ...NOTHING_KEPT,
      }),
      getTask: async ({ minRevision }) => {
        asked++;
        expect(minRevision).toBe('7');
        return { task: { spec } as never, revision: '7' };
      },
    },
  });
  const good = delivered(spec);
  expect((await confirm(hive(false), 'i', good)).assignment).toBe(good);
  expect(await confirm(hive(true), 'i', { ...good, spec: undefined })).toMatchObject({ cancel: true, epoch: 3 });
  expect(asked).toBe(0);
  const forged = { ...good, spec: { ...spec, script: 'echo evil' } };
  expect((await confirm(hive(false), 'i', forged)).assignment.spec?.script).toBe('echo good');
  expect((await confirm(hive(false), 'i', { ...good, spec: undefined })).assignment.spec).toEqual(spec);
  expect(asked).toBe(2);
});
