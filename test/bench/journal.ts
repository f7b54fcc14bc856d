import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { connectBus } from '../../libs/bus/connect.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { openJournal } from '../../libs/journal/open.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { encodeLines } from '../../libs/protocol/envelope.ts';
import { startNatsServer } from '../../libs/testkit/nats-server.ts';
import { inTurns, measure, ms, perSecond, type Row, type Turns, times } from './harness.ts';
import { notes } from './notes-machine.ts';

const CALL: Call = {
  federation: 'main',
  principal: { kind: 'operator', name: 'bench', key: '' },
  token: '',
  trace: { traceparent: '', correlationId: '', hops: 0 },
  signal: new AbortController().signal,
};

/** A bare JetStream publish with an expected sequence, written as cheaply as the client allows. */
export async function barePublisher(nc: NatsConnection): Promise<() => Promise<unknown>> {
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: 'FLOOR', subjects: ['floor'], duplicate_window: 2_000_000_000 });
  const body = Buffer.from('x'.repeat(226));
  let last = 0;
  return async () => {
    const headers = rawHeaders(encodeLines(`Nats-Msg-Id: m${last}\r\nNats-Expected-Last-Sequence: ${last++}\r\n`));
    const ack = (await nc.request('floor', body, { headers, timeout: 10_000 })).json<{ seq?: number }>();
    if (!ack.seq) throw new Error(`the floor's publish was refused: ${JSON.stringify(ack)}`);
  };
}

type Rates = Turns<'floor' | 'journal'>;

/** How many are in flight, how many are measured in a round, of the floor too, and in how many rounds. */
interface Load {
  readonly lanes: number;
  readonly count: number;
  readonly floorCount: number;
  readonly rounds: number;
}

const UNSYNCED: readonly Load[] = [
  { lanes: 1, count: 1000, floorCount: 1000, rounds: 15 },
  { lanes: 64, count: 50_000, floorCount: 20_000, rounds: 5 },
  { lanes: 512, count: 100_000, floorCount: 30_000, rounds: 5 },
];
const SYNCED: readonly Load[] = [
  { lanes: 64, count: 30_000, floorCount: 3000, rounds: 5 },
  { lanes: 512, count: 80_000, floorCount: 4000, rounds: 5 },
];

async function compare(syncAlways: boolean, loads: readonly Load[]): Promise<Map<number, Rates>> {
  await using server = await startNatsServer({ syncAlways });
  const connections = await Promise.all(
    ['floor', 'journal', 'announcer'].map((name) => connectBus({ servers: server.url, name })),
  );
  const [floorNc, nc, announcer] = connections as [NatsConnection, NatsConnection, NatsConnection];
  const publish = await barePublisher(floorNc);
  const authenticate = () => CALL.principal;
  await using journal = await openJournal({
    machine: notes,
    federation: 'main',
    nc,
    announcer,
    soft: undefined,
    authenticate,
  });
  await journal.ready();
  const put = (i: number) => journal.execute('put', { key: `k${i % 1000}` }, CALL);
  const results = new Map<number, Rates>();
  for (const { lanes, count, floorCount, rounds } of loads) {
    await measure(lanes, 2000, put);
    const runs = { floor: () => measure(lanes, floorCount, publish), journal: () => measure(lanes, count, put) };
    results.set(lanes, await inTurns(rounds, runs));
  }
  for (const connection of connections) await connection.close();
  return results;
}

export async function journalRows(): Promise<Row[]> {
  const plain = await compare(false, UNSYNCED);
  const synced = await compare(true, SYNCED);
  const at = (rates: Map<number, Rates>, lanes: number) => rates.get(lanes) as Rates;
  const unsynced = at(plain, 512).median('floor', 'perSecond');
  const durable = at(synced, 512).median('journal', 'perSecond');
  return [
    latencyRow(at(plain, 1)),
    rateRow(at(plain, 64), 64, 'not synced', 1.7),
    rateRow(at(plain, 512), 512, 'not synced', 2),
    rateRow(at(synced, 64), 64, 'each write synced', undefined),
    rateRow(at(synced, 512), 512, 'each write synced', 15),
    {
      what: 'synced journal.execute against unsynced publishes, 512 in flight',
      floor: `publish ${perSecond(unsynced)}`,
      measured: perSecond(durable),
      ratio: times(durable / unsynced),
      target: 'more than 1x',
      ok: durable > unsynced,
    },
  ];
}

function latencyRow(rates: Rates): Row {
  const ratio = rates.ratio('journal', 'floor', 'p50Ms');
  return {
    what: 'journal.execute, 1 in flight, p50, not synced',
    floor: `publish ${ms(rates.median('floor', 'p50Ms'))}`,
    measured: ms(rates.median('journal', 'p50Ms')),
    ratio: times(ratio),
    target: 'at most 1.4x',
    ok: ratio <= 1.4,
  };
}

function rateRow(rates: Rates, lanes: number, how: string, least: number | undefined): Row {
  const ratio = rates.ratio('journal', 'floor', 'perSecond');
  return {
    what: `journal.execute, ${lanes} in flight, ${how}`,
    floor: `publish ${perSecond(rates.median('floor', 'perSecond'))}`,
    measured: perSecond(rates.median('journal', 'perSecond')),
    ratio: times(ratio),
    target: least === undefined ? '' : `at least ${least}x`,
    ok: least === undefined ? undefined : ratio >= least,
  };
}
