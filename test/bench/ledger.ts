import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { natsLog } from '../../libs/journal/nats-log.ts';
import type { Entry } from '../../libs/journal/ports.ts';
import { journalStream, journalSubject } from '../../libs/protocol/subjects.ts';

/** How often each swarm was registered, as the stream itself says: this checker has its own idea of fencing. */
export async function countRegistrations(nc: NatsConnection): Promise<Map<string, number>> {
  const [stream, subject] = [journalStream('main', 'registry'), journalSubject('main', 'registry')];
  const log = natsLog({
    nc,
    jsm: await jetstreamManager(nc),
    stream,
    subject,
    source: '/bench',
    appendTimeoutMs: 1000,
  });
  const { last } = await log.bounds();
  const counts = new Map<string, number>();
  let current = { epoch: 0, writer: '' };
  const count = ({ envelope, body }: Entry) => {
    if (envelope?.kind === 'epoch' && envelope.epoch === current.epoch + 1) current = envelope;
    if (envelope?.kind !== 'group' || envelope.epoch !== current.epoch || envelope.writer !== current.writer) return;
    for (const name of registeredBy(body)) counts.set(name, (counts.get(name) ?? 0) + 1);
  };
  await new Promise<void>((resolve, reject) => {
    const following = log.follow(
      0,
      (entry) => {
        count(entry);
        if (entry.seq < last) return;
        following[Symbol.dispose]();
        resolve();
      },
      reject,
    );
  });
  return counts;
}

interface Group {
  c: { e: { type: string; data: { name: string } }[] }[];
}

function registeredBy(body: Uint8Array): string[] {
  const { c } = JSON.parse(Buffer.from(body).toString()) as Group;
  const events = c.flatMap(({ e }) => e);
  return events.filter(({ type }) => type === 'swarm.registered').map(({ data }) => data.name);
}
