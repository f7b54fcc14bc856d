import { createHash, randomBytes } from 'node:crypto';
import { jetstreamManager } from '@nats-io/jetstream';
import { Objm } from '@nats-io/obj';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { artefactBucket } from '../../libs/protocol/subjects.ts';
import { readArtefact, resultOf } from '../../libs/sdk/artefacts.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import { bus, closePool, closing, hive, inState, openPool, PATIENCE_MS, PATIENT, swarm } from './pool-harness.ts';

/** Over the bus: what is too large for a report lies in the object store, and is what it was when it was stored. */

beforeAll(openPool);
afterAll(closePool);
vi.setConfig({ testTimeout: 180_000 });

const large = { rows: Array.from({ length: 40_000 }, (_, i) => ({ i, text: `row ${i}` })) };

test('a large result comes by reference, a small one inline', async () => {
  const all = closing();
  const own = await swarm(all);
  all.use(
    await own.createAgent({ name: 'x', type: 'report', handler: async ({ payload }) => (payload ? large : 'small') }),
  );
  const [big, small] = [
    await own.submitTask({ type: 'report', payload: 1, ...PATIENT }),
    await own.submitTask({ type: 'report', ...PATIENT }),
  ];
  const ended = await inState(big.id, 'SUCCEEDED', PATIENCE_MS);
  expect(ended.result).toBeUndefined();
  expect(ended.artefacts?.items).toMatchObject([{ name: 'result', mediaType: 'application/json' }]);
  expect(ended.artefacts?.items[0]?.bytes).toBeGreaterThan(1 << 20);
  expect(await resultOf(hive, ended)).toEqual(large);
  const inline = await inState(small.id, 'SUCCEEDED', PATIENCE_MS);
  expect([inline.artefacts, await resultOf(hive, inline)]).toEqual([undefined, 'small']);
});

test('artefacts of any size up to their bound are read as they were stored', async () => {
  const all = closing();
  const own = await swarm(all);
  const contents = [0, 1, 393_216, 1_000_000].map((size) => randomBytes(size));
  const errors: { code: string }[] = [];
  const handler: TaskHandler = async (_, { artefact }) => {
    for (const [i, content] of contents.entries()) await artefact(`part-${i}.bin`, content);
    await artefact('.hidden', 'x').catch((error) => errors.push(error));
    await artefact('part-1.bin', 'other').catch((error) => errors.push(error));
  };
  all.use(await own.createAgent({ name: 'x', type: 'stores', handler }));
  const { id } = await own.submitTask({ type: 'stores', ...PATIENT });
  const { artefacts } = await inState(id, 'SUCCEEDED', PATIENCE_MS);
  expect(artefacts?.items.map(({ bytes, parts }) => [bytes, parts])).toEqual([
    [0, 0],
    [1, 1],
    [393_216, 1],
    [1_000_000, 3],
  ]);
  expect(errors.slice(-2).map(({ code }) => code)).toEqual(['INVALID_ARGUMENT', 'ALREADY_EXISTS']);
  for (const [i, content] of contents.entries()) {
    const read = await readArtefact(hive, id, `part-${i}.bin`);
    expect(read.content.equals(content)).toBe(true);
    expect(read.artefact.digest).toBe(`sha256:${createHash('sha256').update(content).digest('base64url')}`);
  }
  expect(await refused(readArtefact(hive, id, 'none'))).toMatchObject({ code: 'NOT_FOUND' });
});

test('content that was changed in the store, or is missing there, is DATA_LOSS and never given as good', async () => {
  const all = closing();
  const own = await swarm(all);
  const handler: TaskHandler = async (_, { artefact }) => {
    await artefact('changed', 'as it was');
    await artefact('missing', 'as it was');
  };
  all.use(await own.createAgent({ name: 'x', type: 'damaged', handler }));
  const { id } = await own.submitTask({ type: 'damaged', ...PATIENT });
  const { attempts } = await inState(id, 'SUCCEEDED', PATIENCE_MS);
  const bucket = await new Objm(await bus(all, 'vandal')).open(artefactBucket('main'));
  await bucket.putBlob({ name: `${id}.${attempts.length}.0.changed` }, Buffer.from('as it is!'));
  await bucket.delete(`${id}.${attempts.length}.0.missing`);
  for (const name of ['changed', 'missing']) {
    expect(await refused(readArtefact(hive, id, name))).toMatchObject({
      code: 'DATA_LOSS',
      reason: 'ARTEFACT_DAMAGED',
    });
  }
});

test('what is of an attempt that was not the last, or was never named, leaves the store', async () => {
  const all = closing();
  const own = await swarm(all);
  const handler: TaskHandler = async ({ attempt }, { artefact }) => {
    await artefact('kept.txt', `of attempt ${attempt}`);
    if (attempt === 1) throw new Error('again');
  };
  all.use(await own.createAgent({ name: 'x', type: 'again', handler }));
  const { id } = await own.submitTask({ type: 'again', ...PATIENT });
  const { attempts } = await inState(id, 'SUCCEEDED', PATIENCE_MS);
  const nc = await bus(all, 'looks on');
  const subjects = async () => {
    const filter = { subjects_filter: `$O.${artefactBucket('main')}.M.>` };
    const { state } = await (await jetstreamManager(nc)).streams.info(`OBJ_${artefactBucket('main')}`, filter);
    const names = Object.keys(state.subjects ?? {}).map((each) =>
      Buffer.from(each.split('.')[3] ?? '', 'base64url').toString(),
    );
    return names.filter((name) => name.startsWith(`${id}.`));
  };
  expect(await until(async () => ((await subjects()).length === 1 ? subjects() : undefined), PATIENCE_MS)).toEqual([
    `${id}.${attempts.length}.0.kept.txt`,
  ]);
  expect((await readArtefact(hive, id, 'kept.txt')).content.toString()).toBe(`of attempt ${attempts.length}`);
});
