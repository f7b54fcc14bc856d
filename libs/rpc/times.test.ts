import { expect, test } from 'vitest';
import { RegistryServiceService } from '../wire/hivebus/registry/v1/registry.ts';
import { createGrpcClient } from './grpc-client.ts';
import type { GrpcClientOptions } from './grpc-peer.ts';

const open = (options: GrpcClientOptions) => createGrpcClient('127.0.0.1:1', RegistryServiceService, options);
const fault = (field: string, value: unknown, min = 0) => ({
  ...{ code: 'INVALID_ARGUMENT', retryable: false },
  violations: [{ field, value: String(value), rule: `must be a number of milliseconds, ${min} to 2147483647` }],
});

const NO_TIMES = [Number.NaN, -1, Number.POSITIVE_INFINITY, Number.NEGATIVE_INFINITY, 2 ** 31];

test.each(NO_TIMES)('a client is not made with %d as a time', (value) => {
  expect(() => open({ patienceMs: value })).toThrow(expect.objectContaining(fault('patienceMs', value)));
  expect(() => open({ greetingMs: value })).toThrow(expect.objectContaining(fault('greetingMs', value, 1)));
});

test('all faults are told at once, also of what is no number', () => {
  const told = () => open({ patienceMs: '5' as never, greetingMs: 0 });
  expect(told).toThrow(/patienceMs: "5" must be .*; greetingMs: 0 must be a number of milliseconds, 1 to/);
});

test.each(NO_TIMES)('a call of any kind with %d as its limit is refused before anything is sent', async (timeoutMs) => {
  await using client = open({ patienceMs: 0 });
  const refusal = fault('timeoutMs', timeoutMs);
  await expect(client.listSwarms({}, { timeoutMs })).rejects.toMatchObject(refusal);
  await expect(client.watchSwarms({}, { timeoutMs })[Symbol.asyncIterator]().next()).rejects.toMatchObject(refusal);
  await expect(client.streamHeartbeats((async function* () {})(), { timeoutMs })).rejects.toMatchObject(refusal);
});

test('what is left out is no fault', async () => {
  await using client = open({ patienceMs: 0 });
  await expect(client.listSwarms({}, {})).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});
