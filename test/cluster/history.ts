import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { natsLog } from '../../libs/journal/nats-log.ts';
import type { Log } from '../../libs/journal/ports.ts';
import { journalStream, journalSubject } from '../../libs/protocol/subjects.ts';

/** The log of a service's journal in federation `main`. */
export async function logOf(nc: NatsConnection, service: string): Promise<Log> {
  const [stream, subject] = [journalStream('main', service), journalSubject('main', service)];
  const jsm = await jetstreamManager(nc);
  return natsLog({ nc, jsm, stream, subject, source: '/test', appendTimeoutMs: 1000 });
}
