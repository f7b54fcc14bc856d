import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import {
  answersText,
  answerText,
  callsText,
  callText,
  errorText,
  MAX_CALLS,
  readAnswers,
  readCalls,
} from './bundle.ts';

const trace = { traceparent: '', correlationId: 'job "1"', hops: 2 };
const call = { method: 'GetSwarm', id: 'c-1:7', timeoutMs: 900, trace, reply: '_INBOX.a.1', json: '{"name":"code"}' };

test('calls are read as they were written', () => {
  const traced = { ...trace, hops: 0, traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00' };
  const [one, two] = readCalls(
    Buffer.from(callsText([callText(call, 1000), callText({ ...call, trace: traced }, 900)])),
  );
  expect(one).toEqual({
    method: 'GetSwarm',
    headers: {
      'hive-request-id': 'c-1:7',
      'hive-timeout-ms': '900',
      'hive-correlation-id': 'job "1"',
      'hive-hops': '2',
    },
    reply: '_INBOX.a.1',
    request: { name: 'code' },
  });
  expect(two?.headers).toEqual({
    'hive-request-id': 'c-1:7',
    'hive-correlation-id': 'job "1"',
    traceparent: traced.traceparent,
  });
});

test('answers and errors are read as they were written', () => {
  const error = new HiveError('NOT_FOUND', 'no such swarm').toJSON();
  const text = answersText([answerText(3, '{"revision":"1"}'), errorText(0, error)]);
  expect(readAnswers(Buffer.from(text))).toEqual([
    { call: 3, answer: { revision: '1' } },
    { call: 0, error },
  ]);
});

test.each([
  '',
  'x',
  'null',
  '[]',
  '{"calls":{}}',
  '{"calls":[null]}',
  '{"calls":[{"method":1,"headers":{}}]}',
  '{"calls":[{"method":"GetSwarm"}]}',
  '{"calls":[{"method":"GetSwarm","headers":{"hive-hops":2}}]}',
  '{"calls":[{"method":"GetSwarm","headers":{},"reply":7}]}',
])('%j is no bundle of calls', (text) => {
  expect(() => readCalls(Buffer.from(text))).toThrow(expect.objectContaining({ reason: 'MALFORMED_BUNDLE' }));
});

test('what is no bundle of answers is the service’s fault', () => {
  for (const text of ['', '{"calls":[]}', '{"answers":[{}]}', '{"answers":[{"call":0,"error":"no"}]}']) {
    const fault = {
      code: 'INTERNAL',
      message: expect.stringContaining('the service answered with something that is no'),
    };
    expect(() => readAnswers(Buffer.from(text))).toThrow(expect.objectContaining(fault));
  }
});

test('a message holds only so many calls', () => {
  const text = callsText(Array.from({ length: MAX_CALLS + 1 }, () => callText(call, 900)));
  expect(() => readCalls(Buffer.from(text))).toThrow(expect.objectContaining({ code: 'RESOURCE_EXHAUSTED' }));
});
