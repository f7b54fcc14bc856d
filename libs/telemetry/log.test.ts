import { expect, test } from 'vitest';
import { createLogger, logFunction } from './log.ts';
import { freshTraceparent, traceIdOf } from './traceparent.ts';

function linesOf(pretty: boolean) {
  const lines: string[] = [];
  const log = createLogger({ service: 'pool', level: 'info', pretty, write: (line) => lines.push(line) });
  return { log, lines };
}

test('lines are JSON with a level by name, a time, and the ids of the trace that is given', () => {
  const { log, lines } = linesOf(false);
  const traceparent = freshTraceparent();
  log.info({ trace: { traceparent, correlationId: 'c-1', hops: 0 }, lease: 'l-1' }, 'granted');
  log.debug('too quiet');
  expect(lines).toHaveLength(1);
  expect(JSON.parse(lines[0] as string)).toMatchObject({
    level: 'info',
    service: 'pool',
    message: 'granted',
    lease: 'l-1',
    trace_id: traceIdOf(traceparent),
    correlation_id: 'c-1',
    time: expect.stringMatching(/^\d{4}-\d\d-\d\dT/),
  });
});

test('for people lines are short, with the stack of an error below', () => {
  const { log, lines } = linesOf(true);
  logFunction(log)('warn', 'lease expired', { lease: 'l-1', parts: [1, 2] });
  log.error({ err: new Error('oops') }, 'failed');
  expect(lines[0]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} warn {2}pool lease expired lease=l-1 parts=\[1,2\]\n$/);
  expect(lines[1]).toMatch(/failed\nError: oops\n {4}at /);
});
