import { type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { Objm } from '@nats-io/obj';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import type { Journal } from '../../libs/journal/journal.ts';
import { openJournal } from '../../libs/journal/open.ts';
import type { JournalSettings } from '../../libs/journal/settings.ts';
import { skipRecord } from '../../libs/journal/skip.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import type { Call, RequestId } from '../../libs/protocol/call.ts';
import { callBy } from '../../libs/testkit/call.ts';
import { type NatsServer, type NatsServerOptions, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import { type LedgerShape, roomyLedger } from '../simulation/journal/ledger.ts';

/** The journal on a real nats-server: what the simulation only pretends. */

const STREAM = 'HIVE_main_ledger';
const SUBJECT = 'hive.main.journal.ledger';
const BUCKET = 'HIVE_main_ledger_snapshots';

let server: NatsServer;
let open: AsyncDisposable[];

const start = async (options: NatsServerOptions = {}) => {
  server = await startNatsServer(options);
};

const connect = async (): Promise<NatsConnection> => {
  const nc = await connectBus({ servers: server.url, name: 'test' });
  open.push({ [Symbol.asyncDispose]: () => nc.close() });
  return nc;
};

async function journal(
  settings: Partial<JournalSettings> = {},
  log = (_: string) => {},
): Promise<Journal<LedgerShape>> {
  const nc = await connect();
  const authenticate = () => ({ kind: 'operator', name: 'test', key: '' }) as const;
  const opened = await openJournal({
    machine: roomyLedger,
    federation: 'main',
    nc,
    announcer: nc,
    soft: undefined,
    authenticate,
    settings,
    log: (_level, message) => log(message),
  });
  open.push(opened);
  return opened;
}

const call = (request?: RequestId): Call => callBy({ kind: 'operator', name: 'test', key: '' }, { request });

const append = (to: Journal<LedgerShape>, tag: string, request?: RequestId) =>
  to.execute('append', { tag }, call(request));

/** Appends until the stream has been purged beyond its 30th record; answers how many lines that took. */
async function appendUntilPurged(to: Journal<LedgerShape>, jsm: JetStreamManager): Promise<number> {
  for (let count = 0; ; count++) {
    if ((await jsm.streams.info(STREAM)).state.first_seq > 30) return count;
    await append(to, `line-${count}`);
  }
}

/** Each line is a record of its own. */
async function appendOneByOne(to: Journal<LedgerShape>, count: number, prefix = 'line'): Promise<void> {
  for (let i = 0; i < count; i++) await append(to, `${prefix}-${i}`);
}

const total = async (of: Journal<LedgerShape>) => (await of.query('total', {}, call(), { linearizable: true })).total;

beforeEach(() => {
  open = [];
});

afterEach(async () => {
  for (const one of open.reverse()) await one[Symbol.asyncDispose]();
  await server.stop();
});

test('two replicas: the standby forwards, takes over, and answers a repeat as the first leader did', async () => {
  await start();
  const first = await journal();
  await first.ready();
  const second = await journal();
  await second.ready();
  expect([first.role, second.role]).toEqual(['leader', 'standby']);
  const request = { client: 'c', counter: 1 };
  const reply = await append(second, 'a', request);
  expect(reply).toMatchObject({ n: 1 });
  await open.splice(open.indexOf(first), 1)[0]?.[Symbol.asyncDispose]();
  expect(await append(second, 'a', request)).toEqual(reply);
  expect(second.role).toBe('leader');
  expect(await append(second, 'b')).toMatchObject({ n: 2 });
});

test('a stray publish is void and does no harm', async () => {
  await start();
  const one = await journal();
  await append(one, 'a');
  const nc = await connect();
  nc.publish(SUBJECT, 'garbage');
  await nc.flush();
  expect(await append(one, 'b')).toMatchObject({ n: 2 });
  expect(await total(one)).toBe(2);
});

test('a record of the current epoch that cannot be read stops the machine with its sequence, until an operator marks it', async () => {
  await start();
  const one = await journal();
  await append(one, 'a');
  const jsm = await jetstreamManager(await connect());
  const last = (await jsm.streams.info(STREAM)).state.last_seq;
  const record = await jsm.streams.getMessage(STREAM, { seq: last });
  const headers = record?.header;
  headers?.delete('Nats-Msg-Id');
  headers?.set('Nats-Msg-Id', 'forged.1');
  headers?.delete('Nats-Expected-Last-Sequence');
  await one[Symbol.asyncDispose]();
  (await connect()).publish(SUBJECT, '{"t":', headers ? { headers } : {});
  const two = await journal();
  await expect(two.ready()).rejects.toMatchObject({
    code: 'DATA_LOSS',
    message: expect.stringContaining(`record ${last + 1}`),
  });

  const nc = await connect();
  await skipRecord(nc, 'main', 'ledger', { skip: last + 1, by: 'operator:test', reason: 'torn' });
  const three = await journal();
  expect(await append(three, 'b')).toMatchObject({ n: 2 });
  const mark = { skip: last, by: 'operator:test', reason: 'no need' };
  await expect(skipRecord(nc, 'main', 'ledger', mark)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
});

test('snapshots: the stream is purged up to the older one, old revisions are COMPACTED, a new replica agrees', async () => {
  await start();
  const settings = { snapshotEveryRecords: 20, retainMs: 0, recentRecords: 8 };
  const one = await journal(settings);
  await one.ready();
  const count = await appendUntilPurged(one, await jetstreamManager(await connect()));
  const watching = one.watch(2, new AbortController().signal)[Symbol.asyncIterator]();
  await expect(watching.next()).rejects.toMatchObject({ code: 'OUT_OF_RANGE', reason: 'COMPACTED' });
  const two = await journal(settings);
  await two.ready();
  expect((await two.query('total', {}, call(), { minRevision: one.revision })).total).toBe(count);
});

test('a watcher from far back reads the stream and then goes on live, without gaps', async () => {
  await start();
  const one = await journal({ recentRecords: 4 });
  await one.ready();
  await appendOneByOne(one, 50);
  const seen: string[] = [];
  const control = new AbortController();
  const watching = (async () => {
    for await (const { events } of one.watch(1, control.signal)) {
      for (const { type, data } of events) if (type === 'line.appended') seen.push((data as { tag: string }).tag);
    }
  })();
  await appendOneByOne(one, 50, 'live');
  await until(() => seen.length === 100);
  control.abort();
  await watching;
  expect(seen).toEqual(
    [...Array(50).keys()].map((i) => `line-${i}`).concat([...Array(50).keys()].map((i) => `live-${i}`)),
  );
});

async function damage(names: (all: string[]) => string[]): Promise<void> {
  const bucket = await new Objm(await connect()).open(BUCKET);
  const all = (await bucket.list()).map(({ name }) => name).sort();
  for (const name of names(all)) await bucket.putBlob({ name }, Buffer.from('damaged'));
}

test('a damaged snapshot: the one before it serves; with none left and the stream purged it says so and stops', async () => {
  await start();
  const settings = { snapshotEveryRecords: 20, retainMs: 0 };
  const one = await journal(settings);
  await one.ready();
  const count = await appendUntilPurged(one, await jetstreamManager(await connect()));
  await open.splice(open.indexOf(one), 1)[0]?.[Symbol.asyncDispose]();

  await damage((all) => all.slice(-1));
  const said: string[] = [];
  const two = await journal(settings, (message) => said.push(message));
  await two.ready();
  expect(await total(two)).toBe(count);
  expect(said.join()).toMatch(/snapshot .* cannot be used/);
  await open.splice(open.indexOf(two), 1)[0]?.[Symbol.asyncDispose]();

  await damage((all) => all);
  const three = await journal(settings);
  await expect(three.ready()).rejects.toMatchObject({ code: 'DATA_LOSS', reason: 'NO_SNAPSHOT' });
});

test('a stream without its snapshots, or snapshots without their stream, are refused', async () => {
  await start();
  const one = await journal({ snapshotEveryRecords: 5, retainMs: 0 });
  await one.ready();
  await appendOneByOne(one, 30);
  const jsm = await jetstreamManager(await connect());
  await open.splice(open.indexOf(one), 1)[0]?.[Symbol.asyncDispose]();
  await jsm.streams.delete(STREAM);
  await expect(journal()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'STREAM_LOST' });
  await jsm.streams.delete(`OBJ_${BUCKET}`);
  const anew = await journal();
  await append(anew, 'a');
  await open.splice(open.indexOf(anew), 1)[0]?.[Symbol.asyncDispose]();
  await jsm.streams.delete(`OBJ_${BUCKET}`);
  await expect(journal()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'SNAPSHOTS_LOST' });
});

test('a full store refuses with words, and what was accepted stays', async () => {
  await start({ maxFileStoreBytes: 2_000_000 });
  const one = await journal();
  await append(one, 'a');
  let accepted = 1;
  const refused: (string | undefined)[] = [];
  for (let i = 0; i < 1000 && refused.at(-1) !== 'STORE_FULL'; i++) {
    try {
      await append(one, `line-${i}-${'x'.repeat(20_000)}`);
      accepted++;
    } catch (error) {
      const { reason } = error as HiveError;
      refused.push(reason);
      expect(error).toMatchObject({ retryable: true, message: expect.stringContaining('make room in its store') });
      expect(error).toMatchObject({ code: reason === 'STORE_FULL' ? 'RESOURCE_EXHAUSTED' : 'UNAVAILABLE' });
    }
  }
  // Of the record that was in flight it is not known whether it was kept; of what comes then nothing was done.
  expect(refused[0]).toBe('OUTCOME_UNKNOWN');
  expect(refused.at(-1)).toBe('STORE_FULL');
  await open.splice(open.indexOf(one), 1)[0]?.[Symbol.asyncDispose]();
  const two = await journal();
  await until(() => two.revision >= accepted);
  expect(accepted).toBeGreaterThan(10);
  await until(() => two.role === 'standby');
  await expect(append(two, 'more')).rejects.toMatchObject({ reason: 'STORE_FULL' });
});

test('the broker is killed and comes back: nothing that was acked is lost or doubled', async () => {
  await start();
  const one = await journal({ appendTimeoutMs: 500 });
  const two = await journal({ appendTimeoutMs: 500 });
  await Promise.all([one.ready(), two.ready()]);
  const acked: number[] = [];
  let stop = false;
  const client = async (name: string, to: Journal<LedgerShape>) => {
    for (let counter = 1; !stop; counter++) {
      for (;;) {
        try {
          acked.push((await append(to, `${name}-${counter}`, { client: name, counter })).n);
          break;
        } catch (error) {
          expect(error).toMatchObject({ retryable: true });
        }
      }
    }
  };
  const clients = [one, two, one, two].map((to, i) => client(`c${i}`, to));
  for (let round = 0; round < 3; round++) {
    const before = acked.length;
    await until(() => acked.length > before + 50);
    await server.restart('SIGKILL');
  }
  const before = acked.length;
  await until(() => acked.length > before + 50);
  stop = true;
  await Promise.all(clients);
  expect(new Set(acked).size).toBe(acked.length);
  expect(await total(one)).toBe(acked.length);
});

test('an append that is in flight when the broker is killed is looked up as soon as the broker is back', async () => {
  await start();
  const one = await journal({ appendTimeoutMs: 3_600_000 }); // nobody waits for this
  await append(one, 'a');
  server.pause();
  const inFlight = append(one, 'b', { client: 'c', counter: 1 });
  await new Promise((resolve) => setImmediate(resolve)); // it is sent
  await server.restart('SIGKILL');
  await inFlight;
  expect(await total(one)).toBe(2);
});

test('strangers on the line between replicas do no harm: what they send is answered and the leader goes on', async () => {
  await start();
  const one = await journal();
  await append(one, 'a');
  const nc = await connect();
  const ask = (ask: unknown) => nc.request('_HIVE.main.ledger.leader', JSON.stringify({ ask }), { timeout: 20_000 });
  const good = {
    kind: 'command',
    name: 'append',
    input: { tag: 'b' },
    token: '',
    trace: { traceparent: '', correlationId: '', hops: 0 },
  };
  for (const junk of ['5', 'null', '[]', '"x"', '{"beat":"x"}', '{"ask":null}', '{']) {
    expect((await nc.request('_HIVE.main.ledger.leader', junk)).json()).toMatchObject({
      error: { code: 'INVALID_ARGUMENT' },
    });
  }
  for (const bad of [
    { ...good, kind: 'bogus' },
    { ...good, name: 'constructor()' },
    { ...good, input: null },
    { ...good, trace: { ...good.trace, correlationId: 'a\r\nb: c' } },
    { ...good, request: { client: 'c', counter: '1],"e":[' } },
    { ...good, request: { client: 'a b', counter: 1 } },
  ]) {
    expect((await ask(bad)).json()).toMatchObject({ error: { code: 'INVALID_ARGUMENT' } });
  }
  expect((await ask({ ...good, name: 'constructor' })).json()).toMatchObject({ error: { code: 'UNIMPLEMENTED' } });
  expect((await ask({ ...good, request: { client: 'c@another', counter: 1 } })).json()).toMatchObject({
    error: { code: 'PERMISSION_DENIED' },
  });
  nc.publish('_HIVE.main.ledger.leader', JSON.stringify({ beat: 1_000_000 }));
  expect((await ask(good)).json()).toMatchObject({ reply: { n: 2 } });
  expect([one.role, await total(one)]).toEqual(['leader', 2]);
});
