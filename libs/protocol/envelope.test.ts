import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import {
  decodeHeaders,
  encodeHeaders,
  encodeLines,
  eventLines,
  headerLine,
  MAX_HOPS,
  nextHop,
  readCallHeaders,
  traceLines,
} from './envelope.ts';

const PARENT = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const source = (record: Record<string, string>) => new Map(Object.entries(record));

function refused(run: () => unknown): HiveError {
  try {
    run();
  } catch (error) {
    if (error instanceof HiveError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

test('event and trace headers are written in the form of the wire and read back', () => {
  const event = { id: 'a-1', type: 'hivebus.x.Y', source: '/hivebus/x', timeMs: 1_769_860_800_000, subject: 'code' };
  const bytes = encodeLines(eventLines(event) + traceLines({ traceparent: PARENT, correlationId: 'c', hops: 2 }));
  expect(Buffer.from(bytes).toString()).toMatch(/^NATS\/1\.0\r\nce-specversion: 1\.0\r\n[^\0]*\r\n\r\n$/);
  expect(Object.fromEntries(decodeHeaders(bytes, true))).toEqual({
    'ce-specversion': '1.0',
    'ce-id': 'a-1',
    'ce-type': 'hivebus.x.Y',
    'ce-source': '/hivebus/x',
    'ce-time': '2026-01-31T12:00:00.000Z',
    'ce-subject': 'code',
    'content-type': 'application/json',
    traceparent: PARENT,
    'hive-correlation-id': 'c',
    'hive-hops': '2',
  });
  expect([...decodeHeaders(bytes).keys()]).toEqual(['content-type', 'traceparent', 'hive-correlation-id', 'hive-hops']);
});

test.each(['a\r\nb', 'a\nb', 'a\0'])('a value that would end its line is refused: %j', (value) => {
  expect(refused(() => headerLine('x', value)).code).toBe('INVALID_ARGUMENT');
  expect(refused(() => encodeHeaders({ x: value })).message).toContain('must be one line');
});

test('a header name must be one', () => {
  expect(refused(() => encodeHeaders({ 'a b': 'c' })).message).toContain('"a b" is not a header name');
});

test('headers are read whatever their case, the first of a name counts, junk is passed over', () => {
  const bytes = Buffer.from('NATS/1.0 503\r\nX: 1\r\njunk\r\nx:2\r\nEmpty:\r\nTräger: ü\r\n\r\n');
  expect([...decodeHeaders(bytes)]).toEqual([
    ['x', '1'],
    ['empty', ''],
    ['träger', 'ü'],
  ]);
  expect(decodeHeaders(undefined).size).toBe(0);
  expect(decodeHeaders(Buffer.from('NATS/1.0')).size).toBe(0);
});

test('a call is read from its headers', () => {
  const headers = source({
    authorization: 'Bearer a.b.c',
    traceparent: PARENT,
    'hive-correlation-id': 'job-7',
    'hive-hops': '3',
    'hive-request-id': 'cli-1:42',
    'hive-timeout-ms': '2500',
  });
  expect(readCallHeaders(headers)).toEqual({
    token: 'a.b.c',
    trace: { traceparent: PARENT, correlationId: 'job-7', hops: 3 },
    request: { client: 'cli-1', counter: 42 },
    timeoutMs: 2500,
  });
  expect(readCallHeaders(source({}))).toEqual({
    token: '',
    trace: { traceparent: '', correlationId: '', hops: 0 },
    request: undefined,
    timeoutMs: undefined,
  });
});

test('a malformed traceparent starts a new trace, as W3C says', () => {
  expect(readCallHeaders(source({ traceparent: '00-xyz' })).trace.traceparent).toBe('');
});

test('all faults are told at once, and no token is shown', () => {
  const error = refused(() =>
    readCallHeaders(
      source({
        authorization: 'Basic secret',
        'hive-correlation-id': 'a b',
        'hive-hops': '-1',
        'hive-request-id': 'x:0',
        'hive-timeout-ms': '99999999999',
      }),
    ),
  );
  expect(error.code).toBe('INVALID_ARGUMENT');
  expect(error.violations.map((v) => v.field)).toEqual([
    'authorization',
    'hive-correlation-id',
    'hive-hops',
    'hive-request-id',
    'hive-timeout-ms',
  ]);
  expect(JSON.stringify(error)).not.toContain('secret');
});

test('hops are counted and refused above the limit', () => {
  const trace = { traceparent: '', correlationId: 'c', hops: MAX_HOPS - 1 };
  expect(nextHop(trace).hops).toBe(MAX_HOPS);
  expect(refused(() => nextHop(nextHop(trace))).reason).toBe('TOO_MANY_HOPS');
  expect(readCallHeaders(source({ 'hive-hops': String(MAX_HOPS) })).trace.hops).toBe(MAX_HOPS);
  expect(refused(() => readCallHeaders(source({ 'hive-hops': '17' }))).code).toBe('FAILED_PRECONDITION');
});
