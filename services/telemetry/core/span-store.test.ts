import { expect, test } from 'vitest';
import { spanWith } from './fixtures.ts';
import { SpanStore } from './span-store.ts';

const ROOM = { maxSpans: 1000, maxBytes: 1 << 20 };
const T = (digit: string) => digit.repeat(32);

function storeOf(...spans: Parameters<typeof spanWith>[0][]): SpanStore {
  const store = new SpanStore(ROOM);
  for (const span of spans) store.add(spanWith(span), '');
  return store;
}

test('a trace is given by start, whoever sent its parts, with its sender', () => {
  const store = storeOf({ spanId: '2'.repeat(16), startUs: '20' });
  store.add(spanWith({ spanId: '1'.repeat(16), startUs: '10' }), 'anonymous');
  store.add(spanWith({ traceId: T('b') }), 'operator:ada');
  const found = store.trace(T('a'));
  expect(found?.spans.map(({ startUs, sender }) => [startUs, sender])).toEqual([
    ['10', 'anonymous'],
    ['20', ''],
  ]);
  expect(found?.missing).toBe(0);
  expect(store.trace(T('c'))).toBeUndefined();
});

test('the oldest give way when there are too many, and that is told', () => {
  const store = new SpanStore({ maxSpans: 20, maxBytes: 1 << 20 });
  for (let i = 0; i < 25; i++) store.add(spanWith({ spanId: `${i}`.padStart(16, '1'), startUs: `${i + 1}` }), '');
  expect(store.size).toBe(10);
  expect(store.trace(T('a'))).toMatchObject({ missing: 15 });
  expect(store.trace(T('a'))?.spans[0]?.startUs).toBe('16');
  for (let i = 0; i < 10; i++) store.add(spanWith({ traceId: T('b'), spanId: `${i}`.padStart(16, '2') }), '');
  expect(store.trace(T('a'))).toBeUndefined();
  expect(store.summaries(10).map(({ traceId }) => traceId)).toEqual([T('b')]);
});

test('bytes are bounded too, whatever the spans hold', () => {
  const store = new SpanStore({ maxSpans: 1000, maxBytes: 20_000 });
  for (let i = 0; i < 100; i++) {
    store.add(spanWith({ spanId: `${i}`.padStart(16, '1'), attributes: { text: 'x'.repeat(1000) } }), '');
  }
  expect(store.bytes).toBeLessThanOrEqual(10_000);
  expect(store.size).toBeGreaterThan(5);
});

test('a trace that is too large for one answer is given in pages, each span once, whatever comes between them', () => {
  const store = new SpanStore({ maxSpans: 20_000, maxBytes: 1 << 26 });
  const idOf = (i: number) => `1${`${i}`.padStart(15, '0')}`;
  for (let i = 0; i < 5000; i++)
    store.add(spanWith({ spanId: idOf(i), startUs: `${10 * Math.floor(i / 2) + 100}` }), '');
  const seen: string[] = [];
  let page = store.trace(T('a'));
  expect(page).toMatchObject({ missing: 3000 });
  for (let more = 0; page !== undefined; more++) {
    seen.push(...page.spans.map(({ spanId }) => spanId));
    store.add(spanWith({ spanId: idOf(10_000 + more), startUs: '50' }), ''); // earlier than what was given already
    page = page.nextPageToken === '' ? undefined : store.trace(T('a'), page.nextPageToken);
  }
  expect(seen).toHaveLength(5000);
  expect(new Set(seen).size).toBe(5000);
  expect(store.trace(T('a'), `${'9'.repeat(16)}-${idOf(1)}`)).toMatchObject({
    spans: [],
    missing: 0,
    nextPageToken: '',
  });
});

test('strangers push out strangers only', () => {
  const store = new SpanStore({ maxSpans: 20, maxBytes: 1 << 20 });
  store.add(spanWith({}), 'agent:code/a');
  for (let i = 0; i < 100; i++) store.add(spanWith({ traceId: T('b'), spanId: `${i}`.padStart(16, '1') }), 'anonymous');
  expect(store.trace(T('a'))?.spans).toHaveLength(1);
  expect(store.trace(T('b'))).toMatchObject({ missing: 90 });
});

test("a stranger's traces come after those that somebody proven took part in", () => {
  const attributes = { 'process.executable.name': 'hivebus' };
  const store = new SpanStore(ROOM);
  store.add(spanWith({ traceId: T('b'), attributes, startUs: '900' }), 'anonymous');
  expect(store.lastProgram()).toBe(T('b'));
  store.add(spanWith({ traceId: T('a'), attributes, startUs: '20' }), 'anonymous');
  store.add(spanWith({ traceId: T('a'), spanId: '2'.repeat(16), parentSpanId: '1'.repeat(16), startUs: '21' }), '');
  store.add(spanWith({ traceId: T('c'), attributes, startUs: '10' }), 'operator:ada');
  expect(store.summaries(3).map(({ traceId }) => traceId)).toEqual([T('a'), T('c'), T('b')]);
  expect(store.lastProgram()).toBe(T('a'));
});

test('what was open and has ended is there once, as it ended; what is open still, as it was last', () => {
  const store = storeOf(
    ...[{ open: true, durationUs: '1' }, { durationUs: '9' }, { durationUs: '9' }],
    ...['0', '5', '3'].map((durationUs) => ({ spanId: '3'.repeat(16), open: true, durationUs })),
  );
  expect(store.trace(T('a'))?.spans.map(({ open, durationUs }) => [open, durationUs])).toEqual([
    [false, '9'],
    [true, '5'],
  ]);
});

test('the last command is the one that ended last; what others begin or what runs still is none', () => {
  const attributes = { 'process.executable.name': 'hivebus' };
  const store = storeOf(
    { traceId: T('a'), attributes, startUs: '10', durationUs: '90' },
    { traceId: T('b'), attributes, startUs: '20', durationUs: '5' },
    { traceId: T('c'), attributes, startUs: '900', open: true },
    { traceId: T('d'), startUs: '950' },
    { traceId: T('e'), attributes, startUs: '960', parentSpanId: '7'.repeat(16) },
  );
  expect(store.lastProgram()).toBe(T('a'));
  expect(new SpanStore(ROOM).lastProgram()).toBeUndefined();
});

test('of traces with one correlation id the newest is found', () => {
  const attributes = { 'hivebus.correlation_id': 'job-1' };
  const store = storeOf(
    { traceId: T('a'), attributes, startUs: '20' },
    { traceId: T('b'), attributes, startUs: '30' },
    { traceId: T('c'), startUs: '40' },
  );
  expect(store.ofCorrelation('job-1')).toBe(T('b'));
  expect(store.ofCorrelation('job-2')).toBeUndefined();
});

test('a summary has the beginning, the whole time and the errors', () => {
  const store = storeOf(
    { startUs: '100', durationUs: '50', name: 'part', parentSpanId: '7'.repeat(16), failed: true },
    { spanId: '7'.repeat(16), startUs: '90', durationUs: '10', name: 'root', service: 'cli' },
  );
  expect(store.summaries(1)).toEqual([
    { traceId: T('a'), name: 'root', service: 'cli', sender: '', startUs: '90', durationUs: '60', spans: 2, failed: 1 },
  ]);
});
