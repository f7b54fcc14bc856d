import { SpanKind, trace } from '@opentelemetry/api';
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import type { Span } from '../wire/hivebus/telemetry/v1/telemetry.ts';
import { SpanBatches } from './span-batches.ts';
import { startTracer } from './tracer.ts';

/** Time that goes on when it is told to. */
class HandClock implements Clock {
  #now = Date.now();
  #timers: { at: number; run: () => void }[] = [];
  readonly now = () => this.#now;
  readonly monotonic = () => this.#now;
  readonly defer = (run: () => void) => run();
  after(ms: number, run: () => void): Disposable {
    const timer = { at: this.#now + ms, run };
    this.#timers.push(timer);
    const dispose = () => {
      this.#timers = this.#timers.filter((each) => each !== timer);
    };
    return { [Symbol.dispose]: dispose };
  }
  async pass(ms: number): Promise<void> {
    this.#now += ms;
    const due = this.#timers.filter(({ at }) => at <= this.#now);
    this.#timers = this.#timers.filter(({ at }) => at > this.#now);
    for (const { run } of due) run();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

let clock: HandClock;
let batches: SpanBatches;
let sent: string[][];
/** What the tracer hands to whichever batches a test has made. */
const current = {
  onStart: (span: never) => batches.onStart(span),
  onEnd: (span: never) => batches.onEnd(span),
  forceFlush: async () => {},
  shutdown: async () => {},
};

beforeAll(async () => {
  await startTracer({ service: 'test', instance: 'vm:1', traces: 'always', processors: [current] });
});
beforeEach(() => {
  clock = new HandClock();
  sent = [];
  batches = new SpanBatches({ instance: 'vm:1', clock, everyMs: 200, maxWaiting: 600, pauseMs: 10_000 });
});
afterEach(() => batches.shutdown());

const name = ({ name, open }: Span): string => (open ? `${name} (open)` : name);
const keep = async (spans: readonly Span[]) => void sent.push(spans.map(name));
const begin = (text: string) => trace.getTracer('test').startSpan(text);
const make = (text: string) => begin(text).end();

test('work that was taken on is sent as it begins and as it ends, but for a flood of it, and once more when it goes on', async () => {
  batches.sendBy(keep);
  const take = (text: string) => trace.getTracer('test').startSpan(text, { kind: SpanKind.CONSUMER });
  make('before');
  const work = take('work');
  await clock.pass(0);
  expect(sent).toEqual([['before', 'work (open)']]);
  const others = ['b', 'c'].map(take);
  await clock.pass(10);
  expect(sent).toHaveLength(1);
  await clock.pass(10);
  expect(sent.at(-1)).toEqual(['b (open)', 'c (open)']);
  for (const each of others) each.end();
  await clock.pass(20);
  await clock.pass(1000);
  await clock.pass(200);
  expect(sent.slice(2)).toEqual([['b', 'c'], ['work (open)']]);
  work.end();
});

test('spans go together, a moment after they have ended, once there is a way', async () => {
  make('a');
  await clock.pass(500);
  batches.sendBy(keep);
  make('b');
  expect(sent).toEqual([]);
  await clock.pass(200);
  expect(sent).toEqual([['a', 'b']]);
  make('c');
  await batches.forceFlush();
  expect(sent).toEqual([['a', 'b'], ['c']]);
});

test('many go at once, in messages that are not too large', async () => {
  batches.sendBy(keep);
  for (let i = 0; i < 256; i++) make('x');
  await clock.pass(0);
  expect(sent.map((batch) => batch.length)).toEqual([256]);
  for (let i = 0; i < 10; i++) begin('y').setAttribute('text', 'x'.repeat(2000)).end();
  for (let i = 0; i < 10; i++) {
    const large = begin('z');
    for (let j = 0; j < 64; j++) large.setAttribute(`text${j}`, 'x'.repeat(1000));
    large.end();
  }
  await batches.forceFlush();
  expect(sent.slice(1).map((batch) => batch.length)).toEqual([13, 4, 3]);
});

test('nobody listens: what waits is dropped, and for a while everything is', async () => {
  let calls = 0;
  batches.sendBy(async () => {
    calls++;
    throw new Error('nobody');
  });
  make('a');
  await clock.pass(200);
  make('b');
  await clock.pass(9000);
  expect(calls).toBe(1);
  batches.sendBy(keep);
  await clock.pass(1000);
  make('c');
  await clock.pass(200);
  expect(sent).toEqual([['c']]);
});

test('no more than the bound waits', async () => {
  for (let i = 0; i < 700; i++) make('x');
  batches.sendBy(keep);
  await batches.forceFlush();
  expect(sent.flat()).toHaveLength(600);
});

test('what goes on for longer than a second is sent as it is, once, and again when it ends', async () => {
  batches.sendBy(keep);
  const long = begin('long');
  make('short');
  await clock.pass(1000);
  await clock.pass(200);
  await clock.pass(2000);
  expect(sent.flat()).toEqual(['short', 'long (open)']);
  long.end();
  await batches.forceFlush();
  expect(sent.flat()).toEqual(['short', 'long (open)', 'long']);
});
