import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { connectBus } from '../../libs/bus/connect.ts';
import { natsLog } from '../../libs/journal/nats-log.ts';
import { openJournal } from '../../libs/journal/open.ts';
import type { Log } from '../../libs/journal/ports.ts';
import { encodeDecided, encodeEpoch, encodeGroup } from '../../libs/journal/record.ts';
import { journalStream, journalSubject } from '../../libs/protocol/subjects.ts';
import { startNatsServer } from '../../libs/testkit/nats-server.ts';
import { median, type Row, times } from './harness.ts';
import { notes } from './notes-machine.ts';

const RECORDS = 100_000;
const WRITER = 'benchwriter';

/** Opens and closes a journal, so that its stores are there, and answers its log and its stores' incarnation. */
async function emptyJournal(nc: NatsConnection): Promise<{ log: Log; incarnation: string }> {
  const authenticate = () => ({ kind: 'anonymous' }) as const;
  const journal = await openJournal({
    machine: notes,
    federation: 'main',
    nc,
    announcer: nc,
    soft: undefined,
    authenticate,
  });
  await journal.ready();
  await journal[Symbol.asyncDispose]();
  const stream = journalStream('main', notes.service);
  const subject = journalSubject('main', notes.service);
  const jsm = await jetstreamManager(nc);
  const { description = '' } = (await jsm.streams.info(stream)).config;
  const log = natsLog({ nc, jsm, stream, subject, source: '/bench', appendTimeoutMs: 30_000 });
  return { log, incarnation: description.replace('incarnation ', '') };
}

/** One-event records, as a leader without company writes them; sent without waiting for each acknowledgement. */
async function fill(log: Log, incarnation: string): Promise<void> {
  const { last } = await log.bounds();
  const epoch = { epoch: 2, writer: WRITER };
  await log.append(last, { ...epoch, id: `${WRITER}.0`, kind: 'epoch' }, encodeEpoch(Date.now(), incarnation), '');
  const text = 'x'.repeat(140);
  const appends: Promise<unknown>[] = [];
  for (let i = 1; i <= RECORDS; i++) {
    const data = JSON.stringify({ key: `k${i % 1000}`, swarm: 'code', kind: 'analyser', text });
    const decided = encodeDecided('operator:bench', `{"type":"note.put","data":${data}}`, undefined, '', '');
    const envelope = { ...epoch, id: `${WRITER}.${i}`, kind: 'group' } as const;
    appends.push(log.append(last + i, envelope, encodeGroup(Date.now(), [decided]), ''));
    if (appends.length === 1000) await Promise.all(appends.splice(0));
  }
  await Promise.all(appends);
}

/** Only reading and parsing. */
function readAndParse(log: Log, last: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const following = log.follow(
      0,
      ({ seq, body }) => {
        JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString());
        if (seq < last) return;
        following[Symbol.dispose]();
        resolve();
      },
      reject,
    );
  });
}

async function secondsOf(run: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await run();
  return (performance.now() - began) / 1000;
}

export async function replayRows(): Promise<Row[]> {
  await using server = await startNatsServer();
  const nc = await connectBus({ servers: server.url, name: 'bench' });
  const { log, incarnation } = await emptyJournal(nc);
  await fill(log, incarnation);
  const floors: number[] = [];
  const replays: number[] = [];
  for (let round = 0; round < 5; round++) {
    const { last } = await log.bounds();
    floors.push(await secondsOf(() => readAndParse(log, last)));
    const authenticate = () => ({ kind: 'anonymous' }) as const;
    const options = { machine: notes, federation: 'main', nc, announcer: nc, soft: undefined, authenticate };
    const journal = await openJournal(options);
    replays.push(await secondsOf(() => journal.ready()));
    await journal[Symbol.asyncDispose]();
  }
  await nc.close();
  const [floor, replay] = [median(floors), median(replays)];
  return [
    {
      what: `${RECORDS.toLocaleString('en')} one-event records replayed, until it leads`,
      floor: `reading and parsing ${floor.toFixed(2)} s`,
      measured: `${replay.toFixed(2)} s`,
      ratio: times(replay / floor),
      target: 'at most 1.5x',
      ok: replay / floor <= 1.5,
    },
  ];
}
