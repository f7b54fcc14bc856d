import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { WatchEventsRequest, WatchEventsResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { FAST, type Harness, type RegistryClient, startHarness } from './registry-harness.ts';

/** A journal's events as a client reads them: from a revision, since a time, and when they are no longer kept. */

const PATIENCE_MS = 50_000;

let harness: Harness;
let client: RegistryClient;

beforeAll(async () => {
  harness = await startHarness();
  const journal = { snapshotEveryRecords: 20, retainMs: 0, recentRecords: 4 };
  await harness.start({ ...FAST, journal });
  client = harness.as('operator:ada');
});
afterAll(() => harness[Symbol.asyncDispose]());

async function read(request: Partial<WatchEventsRequest>): Promise<WatchEventsResponse[]> {
  const found: WatchEventsResponse[] = [];
  for await (const item of client.watchEvents({ ...request, untilNow: true })) found.push(item);
  return found;
}

const typesOf = (items: readonly WatchEventsResponse[]): string[] =>
  items.flatMap(({ record }) => record?.events.map(({ type, key }) => `${type} ${key}`) ?? []);

const put = (name: string, topology = 'mesh') =>
  client.putCluster({
    name,
    spec: { topology, queenMode: '', strategy: '', consensusThreshold: 0, persistentVolumes: [] },
  });

test('the past ends where it was when it was asked for; the first answer says where it begins', async () => {
  const { revision: before } = await client.listClusters({});
  const since = new Date().toISOString();
  for (const name of ['a', 'b', 'c']) await put(name);
  const later = await read({ fromRevision: before });
  expect(later[0]).toMatchObject({ compacted: false, record: { revision: before, events: [] } });
  expect(typesOf(later)).toEqual(['cluster.stored a', 'cluster.stored b', 'cluster.stored c']);
  expect(later.at(-1)?.record?.events[0]?.data).toMatchObject({ name: 'c', spec: { topology: 'mesh' } });
  expect(typesOf(await read({ since }))).toEqual(typesOf(later));
  expect(typesOf(await read({}))).toEqual([]);
});

test('without an end it goes on with what happens', async () => {
  const control = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const item of client.watchEvents({}, { signal: control.signal })) {
      if (item.record?.events.length === 0) await put('live');
      seen.push(...typesOf([item]));
    }
  })().catch(() => {});
  await until(() => seen.includes('cluster.stored live'), PATIENCE_MS);
  control.abort();
  await watching;
});

test('what is no longer kept: COMPACTED for a revision, said and passed over for a time', async () => {
  const first = (await client.getCluster({ name: 'a' })).cluster?.revision ?? '';
  let count = 0;
  await until(async () => {
    await put('busy', count++ % 2 === 0 ? 'ring' : 'star');
    const [start] = await read({ since: '2001-01-01T00:00:00Z' });
    return start?.compacted;
  }, PATIENCE_MS);
  await expect(read({ fromRevision: first })).rejects.toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
  const kept = await read({ since: '2001-01-01T00:00:00Z' });
  expect(kept[0]?.compacted).toBe(true);
  expect(typesOf(kept).at(-1)).toBe('cluster.stored busy');
  await expect(read({ fromRevision: '7', since: '2001-01-01T00:00:00Z' })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
  });
});
