import { expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import type { LogLine } from '../wire/hivebus/pool/v1/pool.ts';
import { MAX_LINE_BYTES, TaskLog } from './task-log.ts';

function fixture(ready = () => true) {
  let now = 0;
  const timers: (() => void)[] = [];
  const clock: Clock = {
    now: () => now,
    monotonic: () => now,
    after: (_ms, run) => {
      timers.push(run);
      return { [Symbol.dispose]: () => timers.splice(timers.indexOf(run), 1) };
    },
    defer: (run) => run(),
  };
  const sent: LogLine[] = [];
  const log = new TaskLog({ task: 't', attempt: 2, clock, send: (line) => sent.push(line), ready });
  return {
    log,
    sent,
    advance(ms: number) {
      now += ms;
      for (const run of timers.splice(0)) run();
    },
  };
}

test('lines go out at once, numbered from 1, cut at the limit', () => {
  const { log, sent } = fixture();
  log.write('LOG_STREAM_STDOUT', 'hello');
  log.write('LOG_STREAM_STDERR', 'x'.repeat(10_000));
  expect(sent.map((line) => [line.number, line.stream, line.text.length])).toEqual([
    [1, 'LOG_STREAM_STDOUT', 5],
    [2, 'LOG_STREAM_STDERR', MAX_LINE_BYTES],
  ]);
  expect(sent[0]).toMatchObject({ task: 't', attempt: 2 });
});

test('a flood is thinned out, and its last lines arrive', () => {
  const { log, sent, advance } = fixture();
  for (let i = 0; i < 100_000; i++) log.write('LOG_STREAM_STDOUT', `line ${i}`);
  const burst = sent.length;
  expect(burst).toBeLessThan(10_000);
  advance(100);
  expect(sent.length).toBeGreaterThan(burst);
  log.end();
  expect(sent.at(-1)?.text).toBe('line 99999');
  expect(sent.at(-1)?.number).toBe(100_000);
  expect(sent.length).toBeLessThan(10_000);
});

test('lines wait while they cannot be sent', () => {
  let connected = false;
  const { log, sent, advance } = fixture(() => connected);
  log.write('LOG_STREAM_STDOUT', 'a');
  log.write('LOG_STREAM_STDOUT', 'b');
  expect(sent).toEqual([]);
  connected = true;
  advance(50);
  expect(sent.map((line) => line.text)).toEqual(['a', 'b']);
});
