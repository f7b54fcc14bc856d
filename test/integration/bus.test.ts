import { createServer } from 'node:net';
import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { type ConsumeOptions, consume, DEAD_HEADERS, type Outcome } from '../../libs/bus/consume.ts';
import { readStream } from '../../libs/bus/read.ts';
import type { BusStatus } from '../../libs/bus/status.ts';
import { deadLetters, ensureStream, taskLogs } from '../../libs/bus/streams.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';

let server: NatsServer;
let nc: NatsConnection;
let jsm: JetStreamManager;

beforeEach(async () => {
  server = await startNatsServer();
  nc = await connectBus({ servers: server.url, name: 'test' });
  jsm = await jetstreamManager(nc);
});
afterEach(async () => {
  await nc?.close();
  await server?.stop();
});

const stream = () => ({ ...taskLogs('main'), name: 'WORK', subjects: ['work.>'] });

/** Consumes `work.>`, collecting what becomes of it. */
async function collect(handle: ConsumeOptions['handle'], options: Partial<ConsumeOptions> = {}) {
  await ensureStream(jsm, stream());
  const outcomes: Outcome[] = [];
  const onOutcome = (outcome: Outcome) => void outcomes.push(outcome);
  const base = { nc, jsm, federation: 'main', stream: 'WORK', durable: 'worker', subject: 'work.>' };
  const running = await consume({ ...base, handle, onOutcome, ...options });
  return { outcomes, [Symbol.asyncDispose]: () => running[Symbol.asyncDispose]() };
}

async function deadLettersNow() {
  const found = [];
  const signal = new AbortController().signal;
  const subject = 'hive.main.dead.>';
  for await (const message of readStream({ nc, jsm, stream: 'HIVE_main_dead', subject, follow: false, signal })) {
    found.push({
      text: message.string(),
      subject: message.subject,
      header: (name: string) => message.headers?.get(name),
    });
  }
  return found;
}

test('an address where nobody answers is named, with what to do', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as { port: number };
  await new Promise((resolve) => holder.close(resolve));
  const error = await refused(connectBus({ servers: `nats://127.0.0.1:${port}`, name: 'test' }));
  expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'BUS_UNREACHABLE' });
  expect(error.message).toContain(`nats://127.0.0.1:${port}`);
  expect(error.message).toContain('hivebus up');
});

test('a bus that is not there yet is waited for, until nobody wants it any more', async () => {
  const late = await startNatsServer();
  onTestFinished(() => late.stop());
  await late.kill();
  const said: string[] = [];
  const onStatus = ({ message }: { message: string }) => said.push(message);
  const connecting = connectBus({ servers: late.url, name: 'test', waitMs: 60_000, onStatus });
  await until(() => said.length === 1);
  expect(said[0]).toContain('waiting for it');
  await late.restart();
  await (await connecting).close();
  await late.kill();
  const stopping = new AbortController();
  const waiting = refused(connectBus({ servers: late.url, name: 'test', waitMs: 60_000, signal: stopping.signal }));
  stopping.abort();
  expect(await waiting).toMatchObject({ reason: 'BUS_UNREACHABLE' });
});

/** A server's greeting is all that is needed of one; it knows nothing that is asked of it. */
async function greeter(version: string) {
  const info = JSON.stringify({ server_id: 'x', version, proto: 1, max_payload: 1 << 20, headers: true });
  const fake = createServer((socket) => {
    socket.write(`INFO ${info}\r\n`);
    socket.on('error', () => {});
    socket.on('data', (data) => {
      if (data.includes('PING')) socket.write('PONG\r\n');
      const [, inbox] = /PUB \S+ (\S+) 0/.exec(data.toString()) ?? [];
      if (inbox) socket.write(`HMSG ${inbox} 1 16 16\r\nNATS/1.0 503\r\n\r\n\r\n`);
    });
  });
  await new Promise<void>((resolve) => fake.listen(0, '127.0.0.1', resolve));
  const { port } = fake.address() as { port: number };
  return { url: `nats://127.0.0.1:${port}`, [Symbol.dispose]: () => void fake.close() };
}

test('a server that is too old is refused', async () => {
  using old = await greeter('2.9.9');
  const error = await refused(connectBus({ servers: old.url, name: 'test' }));
  expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'BUS_TOO_OLD' });
  expect(error.message).toContain('is 2.9.9; 2.9.10 or later is needed');
});

test('a server without JetStream is refused, unless it is not needed', async () => {
  using plain = await greeter('2.10.0');
  const error = await refused(connectBus({ servers: plain.url, name: 'test' }));
  expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'NO_JETSTREAM' });
  const client = await connectBus({ servers: plain.url, name: 'test', jetStream: false });
  await client.close();
});

test('the connection is restored, and tells so', async () => {
  const told: BusStatus[] = [];
  const watched = await connectBus({ servers: server.url, name: 'watched', onStatus: (status) => told.push(status) });
  await server.restart('SIGKILL');
  await until(() => told.some(({ message }) => message.startsWith('connected to the bus again')));
  expect(told.map(({ level }) => level)).toContain('warn');
  await watched.flush();
  await watched.close();
});

test('a stream is created once, then adopted, and what differs is told', async () => {
  expect(await ensureStream(jsm, taskLogs('main'))).toEqual({ created: true, differences: [] });
  expect(await ensureStream(jsm, taskLogs('main'))).toEqual({ created: false, differences: [] });
  expect(await ensureStream(jsm, { ...taskLogs('main'), maxBytes: 5 })).toEqual({
    created: false,
    differences: ['max_bytes is 268435456, wanted 5'],
  });
});

test('a stream that cannot be made says why', async () => {
  await ensureStream(jsm, stream());
  const error = await refused(ensureStream(jsm, { ...stream(), name: 'OTHER' }));
  expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('stream OTHER') });
});

test('what is done is acknowledged and not seen again', async () => {
  const seen: string[] = [];
  {
    await using work = await collect(async ({ subject }) => void seen.push(subject));
    for (let i = 0; i < 200; i++) nc.publish(`work.${i}`, 'x');
    await until(() => work.outcomes.length === 200);
  }
  expect(new Set(seen).size).toBe(200);
  await using again = await collect(async ({ subject }) => void seen.push(subject));
  nc.publish('work.last', 'x');
  await until(() => again.outcomes.length === 1);
  expect(seen).toHaveLength(201);
});

test('what may pass comes again', async () => {
  const deliveries: number[] = [];
  await using work = await collect(async ({ delivery }) => {
    deliveries.push(delivery);
    if (delivery < 3) throw new HiveError('UNAVAILABLE', 'later');
  });
  nc.publish('work.a', 'x');
  await until(() => work.outcomes.includes('done'));
  expect(deliveries).toEqual([1, 2, 3]);
  expect(work.outcomes).toEqual(['retried', 'retried', 'done']);
});

test('what can never be handled becomes a dead letter, with the reason', async () => {
  await ensureStream(jsm, deadLetters('main'));
  await using work = await collect(async ({ subject }) => {
    if (subject === 'work.bad') throw new HiveError('INVALID_ARGUMENT', 'not\r\na task');
    if (subject === 'work.defect') throw new Error('boom');
  });
  nc.publish('work.bad', 'payload 1');
  nc.publish('work.defect', 'payload 2');
  nc.publish('work.good', 'payload 3');
  await until(() => work.outcomes.length === 3);
  expect([...work.outcomes].sort()).toEqual(['dead', 'dead', 'done']);
  const letters = await deadLettersNow();
  expect(letters.map(({ text }) => text).sort()).toEqual(['payload 1', 'payload 2']);
  const bad = letters.find(({ text }) => text === 'payload 1');
  expect(bad?.subject).toBe('hive.main.dead.worker');
  expect(bad?.header(DEAD_HEADERS.reason)).toBe('not a task');
  expect(bad?.header(DEAD_HEADERS.subject)).toBe('work.bad');
});

test('a message that may pass but never does is given up after the last delivery', async () => {
  await ensureStream(jsm, deadLetters('main'));
  const handle = async () => {
    throw new HiveError('UNAVAILABLE', 'never');
  };
  await using work = await collect(handle, { maxDeliveries: 2 });
  nc.publish('work.a', 'x');
  await until(() => work.outcomes.includes('dead'));
  expect(work.outcomes).toEqual(['retried', 'dead']);
});

test('without a place for dead letters nothing is given up', async () => {
  await using work = await collect(async () => {
    throw new HiveError('INVALID_ARGUMENT', 'bad');
  });
  nc.publish('work.a', 'x');
  await until(() => work.outcomes.length >= 1);
  expect(work.outcomes).toEqual(['retried']);
  await ensureStream(jsm, deadLetters('main'));
  await until(() => work.outcomes.includes('dead'));
  expect(await deadLettersNow()).toHaveLength(1);
});

test('a handler that takes long keeps its message', async () => {
  let finish: (() => void) | undefined;
  const seen: number[] = [];
  const handle = ({ delivery }: { delivery: number }) => {
    seen.push(delivery);
    return new Promise<void>((resolve) => {
      finish = resolve;
    });
  };
  let signs = 0;
  nc.subscribe('$JS.ACK.WORK.worker.>', {
    callback: (_, message) => {
      if (message.string() === '+WPI') signs++;
    },
  });
  await using work = await collect(handle, { ackWaitMs: 200 });
  nc.publish('work.a', 'x');
  await until(() => finish);
  // Each sign of life buys another 200 ms and comes every 100 ms.
  await until(() => signs >= 6);
  finish?.();
  await until(() => work.outcomes.length === 1);
  expect(seen).toEqual([1]);
});

test('a reader gets what is kept and ends, or goes on', async () => {
  await ensureStream(jsm, stream());
  const controller = new AbortController();
  const read = async (subject: string, follow: boolean) => {
    const got: string[] = [];
    for await (const message of readStream({ nc, jsm, stream: 'WORK', subject, follow, signal: controller.signal })) {
      got.push(message.string());
      if (message.string() === 'end') controller.abort();
    }
    return got;
  };
  for (let i = 0; i < 300; i++) nc.publish(`work.${i % 2}`, `${i}`);
  await nc.flush();
  expect(await read('work.1', false)).toEqual(Array.from({ length: 150 }, (_, i) => `${2 * i + 1}`));
  expect(await read('work.none', false)).toEqual([]);
  const following = read('work.>', true);
  nc.publish('work.2', 'end');
  expect(await following).toHaveLength(301);
  expect(
    await refused(
      readStream({ nc, jsm, stream: 'NONE', subject: 'x', follow: true, signal: new AbortController().signal }).next(),
    ),
  ).toMatchObject({
    message: expect.stringContaining('stream NONE'),
  });
});
