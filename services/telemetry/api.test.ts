import { expect, test } from 'vitest';
import { callBy } from '../../libs/testkit/call.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { telemetryApi } from './api.ts';
import { spanWith } from './core/fixtures.ts';
import { SpanStore } from './core/span-store.ts';

const STRANGER = callBy({ kind: 'anonymous' });

function setUp() {
  const taken: [number, string][] = [];
  const store = new SpanStore({ maxSpans: 100, maxBytes: 1 << 20 });
  return { store, taken, api: telemetryApi(store, (...args) => void taken.push(args)) };
}

test('what is handed in is kept with its proven sender, whatever it says of itself', async () => {
  const { api, taken } = setUp();
  const agent = callBy({ kind: 'agent', swarm: 'code', name: 'a1', key: 'k' });
  await api.exportSpans({ spans: [spanWith({ sender: 'operator:ada' })] }, agent);
  await api.exportSpans({ spans: [spanWith({ spanId: '2'.repeat(16), sender: '' })] }, STRANGER);
  const { spans } = await api.getTrace(
    { traceId: 'a'.repeat(32), correlationId: '', last: false, pageToken: '' },
    STRANGER,
  );
  expect(spans.map(({ sender }) => sender).sort()).toEqual(['agent:code/a1', 'anonymous']);
  expect(taken).toEqual([
    [1, 'agent'],
    [1, 'anonymous'],
  ]);
});

test.each([
  ['a trace id that is none', { traceId: 'A'.repeat(32) }, 'spans[1].traceId'],
  ['zeros', { spanId: '0'.repeat(16) }, 'spans[1].spanId'],
  ['a parent that is none', { parentSpanId: '1' }, 'spans[1].parentSpanId'],
  ['a long name', { name: 'x'.repeat(257) }, 'spans[1].name'],
  ['a long value', { attributes: { a: 'x'.repeat(1025) } }, 'spans[1].attributes["a"]'],
  ['many links', { links: Array(129).fill({ traceId: 'a'.repeat(32), spanId: '1'.repeat(16) }) }, 'spans[1].links'],
  ['a time beyond all', { startUs: '18446744073709551615' }, 'spans[1].startUs'],
])('%s is refused, and nothing of the message is kept', async (_, fault, field) => {
  const { api, store } = setUp();
  const error = await refused(api.exportSpans({ spans: [spanWith({}), spanWith(fault)] }, STRANGER));
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field }] });
  expect(store.size).toBe(0);
});

test('too many spans at once are refused', async () => {
  const { api } = setUp();
  const error = await refused(api.exportSpans({ spans: Array(513).fill(spanWith({})) }, STRANGER));
  expect(error).toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'spans', value: '513' }] });
});

test.each([
  [{}, 'INVALID_ARGUMENT', 'exactly one'],
  [{ traceId: 'a'.repeat(32), last: true }, 'INVALID_ARGUMENT', 'exactly one'],
  [{ traceId: 'x' }, 'INVALID_ARGUMENT', 'hexadecimal'],
  [{ traceId: 'a'.repeat(32), pageToken: '7' }, 'INVALID_ARGUMENT', 'nextPageToken of an answer'],
  [{ last: true, pageToken: `${'1'.repeat(16)}-${'a'.repeat(16)}` }, 'INVALID_ARGUMENT', 'goes with traceId'],
  [{ traceId: 'b'.repeat(32) }, 'NOT_FOUND', 'gave way to newer ones'],
  [{ correlationId: 'job-1' }, 'NOT_FOUND', 'correlation id "job-1"'],
  [{ last: true }, 'NOT_FOUND', 'no trace of a command'],
])('a question %j is answered %s', async (question, code, text) => {
  const { api } = setUp();
  const error = await refused(
    api.getTrace({ traceId: '', correlationId: '', last: false, pageToken: '', ...question }, STRANGER),
  );
  expect(error.code).toBe(code);
  expect(error.message).toContain(text);
});

test('traces are listed, the newest first, no more than asked for', async () => {
  const { api, store } = setUp();
  for (const [digit, startUs] of [
    ['a', '10'],
    ['b', '30'],
    ['c', '20'],
  ]) {
    store.add(spanWith({ traceId: (digit as string).repeat(32), startUs: startUs as string }), '');
  }
  const { traces } = await api.listTraces({ limit: 2 }, STRANGER);
  expect(traces.map(({ traceId }) => traceId[0])).toEqual(['b', 'c']);
  expect(await refused(api.listTraces({ limit: 201 }, STRANGER))).toMatchObject({ code: 'INVALID_ARGUMENT' });
});
