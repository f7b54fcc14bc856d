import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { connectBus } from '../../libs/bus/connect.ts';
import { headerBytes } from '../../libs/bus/message.ts';
import { announcementSubject, journalStream, journalSubject } from '../../libs/protocol/subjects.ts';
import { type Child, startChild } from './children.ts';
import { inTurns, measure, monotonicMs, ms, type Rate, type Row, rateOf, times } from './harness.ts';
import { registration } from './registrations.ts';
import { setStage } from './stage.ts';

const LISTENERS = 100;
const SWARM = 'announced';
const FLOOR_RECORDS = 'floor.records';
const FLOOR_NEWS = 'floor.news';
const ANNOUNCED = announcementSubject('main', 'registry', 'swarm.registered', SWARM);

/** Listeners with a connection each, who hear the announcement and the floor's message alike. */
class Crowd implements AsyncDisposable {
  readonly #connections: NatsConnection[];
  #missing = 0;
  #all: () => void = () => {};
  /** The last message that came, headers and all. */
  last: { headers: Uint8Array; body: Uint8Array } | undefined;

  private constructor(connections: NatsConnection[]) {
    this.#connections = connections;
    for (const nc of connections) {
      for (const subject of [ANNOUNCED, FLOOR_NEWS]) {
        nc.subscribe(subject, {
          callback: (_error, message) => {
            if (--this.#missing > 0) return;
            this.last = { headers: Buffer.from(headerBytes(message)), body: Buffer.from(message.data) };
            this.#all();
          },
        });
      }
    }
  }

  static async gather(servers: string): Promise<Crowd> {
    const name = 'listener';
    const connect = () => connectBus({ servers, name, jetStream: false });
    const crowd = new Crowd(await Promise.all(Array.from({ length: LISTENERS }, connect)));
    await Promise.all(crowd.#connections.map((nc) => nc.flush()));
    return crowd;
  }

  /** Resolves when each of them has heard one more message. */
  hears(): Promise<void> {
    this.#missing = LISTENERS;
    return new Promise((resolve) => {
      this.#all = resolve;
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#connections.map((nc) => nc.close()));
  }
}

/** One JetStream publish and one message to the crowd, of the sizes that a registration makes of them. */
async function startFloor(servers: string, nc: NatsConnection, crowd: Crowd): Promise<Child> {
  const jsm = await jetstreamManager(nc);
  await jsm.streams.add({ name: 'FLOOR', subjects: [FLOOR_RECORDS], duplicate_window: 2_000_000_000 });
  const record = await jsm.streams.getMessage(journalStream('main', 'registry'), {
    last_by_subj: journalSubject('main', 'registry'),
  });
  if (!record || !crowd.last) throw new Error('no registration was announced yet');
  const sizes = [String(record.header).length, record.data.length, crowd.last.headers.length, crowd.last.body.length];
  return startChild('announcement-floor', [servers, FLOOR_RECORDS, FLOOR_NEWS, ...sizes.map(String)]);
}

/** The publisher's clock counts, and begins with its publish: that it must be asked is not part of it. */
async function measureFloor(count: number, floor: Child, crowd: Crowd): Promise<Rate> {
  const latencies = new Float64Array(count);
  const began = performance.now();
  for (let i = 0; i < count; i++) {
    const heard = crowd.hears().then(monotonicMs);
    const { beganMs } = await floor.ask<{ beganMs: number }>({});
    latencies[i] = (await heard) - beganMs;
  }
  return rateOf(latencies, performance.now() - began);
}

/** From the call until it is answered and 100 others have heard of it; the registry runs in a process of its own. */
export async function announcementRows(): Promise<Row[]> {
  await using stage = await setStage();
  await stage.start('registry').says('is serving');
  await using crowd = await Crowd.gather(stage.nats.url);
  const { registry, nc } = await stage.connect();
  let count = 0;
  const register = async () => {
    const heard = crowd.hears();
    await Promise.all([registry.registerSwarm({ name: SWARM, project: `project-${count++}` }), heard]);
  };
  // A service has been at work for a while.
  await measure(64, 5000, (i) => registry.registerSwarm(registration(i)));
  await measure(1, 500, register);
  await using floor = await startFloor(stage.nats.url, nc, crowd);
  await measureFloor(500, floor, crowd);
  const rates = await inTurns(15, {
    floor: () => measureFloor(150, floor, crowd),
    registry: () => measure(1, 150, register),
  });
  const ratio = rates.ratio('registry', 'floor', 'p50Ms');
  return [
    {
      what: `a swarm registered until ${LISTENERS} others have seen it, p50, not synced`,
      floor: `publish + message ${ms(rates.median('floor', 'p50Ms'))}`,
      measured: ms(rates.median('registry', 'p50Ms')),
      ratio: times(ratio),
      target: 'at most 1.5x',
      ok: ratio <= 1.5,
    },
  ];
}
