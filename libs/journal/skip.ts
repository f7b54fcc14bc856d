import { jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import { journalStream, journalSubject, leaderSubject } from '../protocol/subjects.ts';
import { natsLine } from './nats-line.ts';
import { natsLog } from './nats-log.ts';
import type { SkipJson } from './record.ts';

const PROBE_MS = 500;
const APPEND_MS = 3000;

/**
 * Marks a record that cannot be applied to be passed over, by a record of its own at the journal's end: the last resort
 * after a corrupt record has stopped a service. Start the service anew afterwards.
 * Throws NOT_FOUND when there is no such record, FAILED_PRECONDITION while somebody leads: nothing is stuck then.
 */
export async function skipRecord(
  nc: NatsConnection,
  federation: string,
  service: string,
  mark: SkipJson,
): Promise<void> {
  const jsm = await jetstreamManager(nc);
  const stream = journalStream(federation, service);
  const subject = journalSubject(federation, service);
  const source = `/hivebus/${federation}/${service}`;
  const log = natsLog({ nc, jsm, stream, subject, source, appendTimeoutMs: APPEND_MS });
  const { first, last } = await log.bounds();
  if (mark.skip < first || mark.skip > last) {
    throw new HiveError('NOT_FOUND', `${stream} holds the records ${first} to ${last}, and not ${mark.skip}`);
  }
  if ((await natsLine(nc, leaderSubject(federation, service)).probe(0, PROBE_MS)) === 'alive') {
    throw new HiveError('FAILED_PRECONDITION', `${service} runs and leads its journal: no record of it is stuck`);
  }
  const id = `skip-${randomId()}`;
  const appended = await log.append(last, { id, kind: 'skip', epoch: 0, writer: id }, JSON.stringify(mark), '');
  if (appended.outcome === 'committed') return;
  throw appended.outcome === 'unknown'
    ? appended.error
    : new HiveError('ABORTED', `somebody else wrote to ${stream} meanwhile; try again`, { retryable: true });
}
