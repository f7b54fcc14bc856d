import type { NatsConnection } from '@nats-io/nats-core';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import type { Journal } from '../../libs/journal/journal.ts';
import { openJournal } from '../../libs/journal/open.ts';
import type { Entry } from '../../libs/journal/ports.ts';
import { Replica } from '../../libs/journal/replica.ts';
import { readRange } from '../../libs/journal/watch.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import { currentNats } from '../../libs/testkit/current-nats.ts';
import { type ClusterServer, type NatsCluster, startNatsCluster } from '../../libs/testkit/nats-cluster.ts';
import { noNetwork } from '../../libs/testkit/network.ts';
import { until } from '../../libs/testkit/until.ts';
import { type LedgerShape, roomyLedger } from '../simulation/journal/ledger.ts';
import { dump, Truth } from '../simulation/journal/truth.ts';
import { logOf } from './history.ts';
import { Load, PATIENCE_MS } from './load.ts';

/**
 * Three replicas of a journal on three real servers that lose one another in the middle of work: nothing that was acked
 * is lost or doubled, the replicas agree, clients see nothing but errors that may pass, and it comes back.
 */

const STREAM = 'HIVE_main_ledger';
const found = currentNats();
const binary = 'path' in found ? found.path : '';

let cluster: NatsCluster;
let connections: NatsConnection[];
let replicas: Journal<LedgerShape>[];
let load: Load;

/** To any of the servers: the client picks one at random. */
async function connect(): Promise<NatsConnection> {
  const nc = await connectBus({ servers: cluster.urls, name: 'replica', waitMs: PATIENCE_MS });
  connections.push(nc);
  return nc;
}

async function replica(index: number): Promise<Journal<LedgerShape>> {
  const nc = await connect();
  const log = (level: string, message: string, fields?: object) => {
    if (process.env['HIVEBUS_DEBUG']) console.log(index, Math.round(performance.now()), level, message, fields);
  };
  const open = () =>
    openJournal<LedgerShape>({
      ...{ machine: roomyLedger, federation: 'main', nc, announcer: nc, soft: undefined, log },
      authenticate: () => ({ kind: 'operator', name: 'test', key: '' }),
      settings: { replicas: 3, snapshotEveryRecords: 200 },
    }).catch((error: HiveError) => {
      if (!error.retryable) throw error;
      return undefined;
    });
  return until(open, PATIENCE_MS);
}

async function begin(cables: boolean): Promise<void> {
  cluster = await startNatsCluster({ binary, cables });
  replicas = await Promise.all([0, 1, 2].map(replica));
  await Promise.all(replicas.map((each) => each.ready()));
  load = new Load(replicas);
  await load.moves();
}

/** Stops the load and compares: answers with the log, each replica's state with the log, the log with itself. */
async function expectNothingLost(): Promise<void> {
  await cluster.whole();
  await load.stop();
  console.log(`${load.acked.size} lines; seen meanwhile:`, load.seen);
  expect(load.faults).toEqual([]);
  const log = await logOf(await connect(), 'ledger');
  const settled = async () => {
    const { last } = await log.bounds();
    return replicas.every((each) => each.revision === last && stateOf(each)?.lines.size === 0) ? last : 0;
  };
  const last = await until(settled, PATIENCE_MS);
  const history = await readRange(log, 0, last);
  expectAnswersInLog(history);
  const whole = new Replica(roomyLedger);
  for (const entry of history) whole.take(entry);
  for (const { state } of replicas) expect(dump(roomyLedger.tables(state))).toBe(dump(roomyLedger.tables(whole.state)));
}

/** Undefined while it is being loaded. */
function stateOf(of: Journal<LedgerShape>): LedgerShape['state'] | undefined {
  try {
    return of.state;
  } catch {
    return undefined;
  }
}

function expectAnswersInLog(history: readonly Entry[]): void {
  const { requests, totals } = new Truth(history).catchUp();
  expect([...requests].filter(([, { times }]) => times !== 1)).toEqual([]);
  const wrong = [...load.acked].filter(([id, n]) => (requests.get(id)?.outcome as { n?: number } | undefined)?.n !== n);
  expect(wrong).toEqual([]);
  expect([load.acked.size, new Set(load.acked.values()).size]).toEqual([requests.size, requests.size]);
  expect(totals.at(-1)).toBe(load.acked.size);
}

async function around(fault: (server: ClusterServer) => Promise<unknown>): Promise<void> {
  await cluster.whole();
  await fault(await cluster.leaderOf(STREAM));
}

beforeEach(() => {
  [connections, replicas] = [[], []];
});

afterEach(async () => {
  for (const each of replicas) await each[Symbol.asyncDispose]();
  for (const nc of connections) await nc.close();
  await cluster?.[Symbol.asyncDispose]();
});

describe.skipIf(binary === '')('three servers on one machine', () => {
  test('whoever leads the stream is killed, again and again, and once comes back with an empty disk', async () => {
    await begin(false);
    for (const emptyDisk of [false, true, false]) {
      await around(async (server) => {
        await server.kill();
        await load.moves();
        await server.start({ emptyDisk });
      });
      await load.moves();
    }
    await expectNothingLost();
  });

  test('whoever leads the stream is stopped for a while and goes on as if nothing had been', async () => {
    await begin(false);
    await around(async (server) => {
      server.pause();
      await load.moves();
      server.resume();
    });
    await load.moves();
    await expectNothingLost();
  });
});

describe.skipIf(binary === '' || noNetwork() !== undefined)('three servers with cables', () => {
  test('whoever leads the stream is cut off, from all and from the other servers only', async () => {
    await begin(true);
    for (const fault of ['cutOff', 'separate'] as const) {
      await around(async (server) => {
        server[fault]();
        await load.moves();
        server.heal();
      });
      await load.moves();
    }
    await expectNothingLost();
  });
});
