import { createInbox, type Msg } from '@nats-io/nats-core';
import { expect, test } from 'vitest';
import { headerBytes } from '../../libs/bus/message.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { type Clock, systemClock } from '../../libs/kernel/clock.ts';
import { decodeHeaders, encodeHeaders } from '../../libs/protocol/envelope.ts';
import type { BusServerOptions } from '../../libs/rpc/bus-server.ts';
import { startTelemetry } from '../../libs/telemetry/telemetry.ts';
import { until } from '../../libs/testkit/until.ts';
import { ListSwarmsResponse, WatchSwarmsResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { busClient, clientSide, type Methods, openBus, serveOnBus } from './rpc-harness.ts';

/** Clients on the bus that take nothing of what they asked for, or leave: what they hold is freed. */

openBus();

/** Ten times as fast, so that nobody waits for pings. */
const quick: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 10, run) };

async function served(options: Partial<BusServerOptions> = {}, itemLength = 10) {
  const made = { items: 0, begun: 0, ended: 0 };
  const methods: Methods = {
    async *watchSwarms() {
      made.begun++;
      try {
        for (;;) {
          made.items++;
          yield WatchSwarmsResponse.fromJSON({ removed: ['x'.repeat(itemLength)] });
        }
      } finally {
        made.ended++;
      }
    },
    listSwarms: async () => ListSwarmsResponse.fromJSON({ total: 7 }),
  };
  return { bus: await serveOnBus(methods, options), made };
}

const WAIT = rawHeaders(encodeHeaders({ 'hive-stream': 'wait' }));

/** Asks for a stream by hand, answering pings as the test says; what came, and the error that ended it. */
function watch(onPing: (ping: Msg) => void) {
  const got: { items: number; error: { code: string; reason?: string } | undefined } = { items: 0, error: undefined };
  const inbox = createInbox();
  clientSide.subscribe(inbox, {
    callback: (_, message) => {
      const headers = decodeHeaders(headerBytes(message));
      if (headers.get('hive-stream') === 'ping') onPing(message);
      else if (headers.has('nats-service-error-code')) got.error = message.json();
      else if (!headers.has('hive-stream')) got.items++;
    },
  });
  clientSide.publish('hive.main.rpc.registry.WatchSwarms', '{}', { reply: inbox });
  return got;
}

test('who says that it lives and takes nothing is ended with RESOURCE_EXHAUSTED', async () => {
  const { bus, made } = await served({ stallMs: 2000 });
  await using _bus = bus;
  const got = watch((ping) => ping.respond(new Uint8Array(0), { headers: WAIT }));
  await until(() => got.items === 64);
  expect((await busClient().listSwarms({})).total).toBe(7);
  expect(await until(() => got.error)).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'SLOW_CONSUMER' });
  await until(() => made.ended === 1 && bus.load().streams === 0);
  expect([made.items, got.items]).toEqual([64, 64]);
});

test('who answers no ping is gone', async () => {
  const { bus, made } = await served({ clock: quick });
  await using _bus = bus;
  const got = watch(() => {});
  expect(await until(() => got.error)).toMatchObject({ code: 'CANCELLED' });
  await until(() => made.ended === 1 && bus.load().streams === 0);
});

test('large items are held back sooner', async () => {
  const { bus, made } = await served({}, 300_000);
  await using _bus = bus;
  const pings: Msg[] = [];
  const got = watch((ping) => {
    pings.push(ping);
    ping.respond(new Uint8Array(0), { headers: WAIT });
  });
  await until(() => got.items === 4 && pings.length >= 2);
  expect(made.items).toBe(4); // of 300 kB, when 1 MiB may be on the way
  pings[0]?.respond();
  await until(() => got.items > 4);
});

test('cancelled streams leave the gauge of what is running', async () => {
  await using telemetry = await startTelemetry({ service: 'test', traces: 'off', metricsPort: 0 });
  const { bus, made } = await served({ observe: telemetry.observe });
  await using _bus = bus;
  const running = async () => {
    const text = await (await fetch(`http://127.0.0.1:${telemetry.metricsPort}/metrics`)).text();
    return Number(/^rpc_active\{.*method="WatchSwarms".*\} (\d+)/m.exec(text)?.[1] ?? -1);
  };
  const leaving = new AbortController();
  const streams = Array.from({ length: 10 }, () =>
    busClient().watchSwarms({}, { signal: leaving.signal })[Symbol.asyncIterator](),
  );
  await Promise.all(streams.map((stream) => stream.next()));
  // On a slow machine one is asked for again before it is opened; the first of the two finds nobody, and ends.
  await until(async () => (await running()) === 10, 60_000);
  expect(made.begun - made.ended).toBe(10);
  leaving.abort();
  await until(async () => (await running()) === 0);
  expect(made.ended).toBe(made.begun);
  await until(() => bus.load().streams === 0);
}, 300_000);
