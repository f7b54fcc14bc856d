import { pause, systemClock } from '../libs/kernel/clock.ts';
import { HiveError } from '../libs/kernel/errors.ts';
import { announcementSubject } from '../libs/protocol/subjects.ts';
import type { Hive } from '../libs/sdk/hive.ts';
import type { JournalRecord } from '../libs/wire/hivebus/journal/v1/journal.ts';
import type { BusEvent } from './event-line.ts';
import type { Outage } from './outage.ts';

/** The services that have a journal to look back into. */
export const SERVICES = ['registry', 'pool'] as const;
export type ServiceName = (typeof SERVICES)[number];

/** Where to begin: after a revision, or with what was stored at a time. */
export type Start = { readonly fromRevision: string } | { readonly since: string };

/** A record of a service's journal. */
export interface Told {
  readonly service: ServiceName;
  readonly record: JournalRecord;
}

export interface Beginning extends Told {
  /** Events since the time that was asked for are no longer kept. */
  readonly compacted: boolean;
}

/** The past of one service, up to now; the first item, without events, says where it begins. */
export async function* past(
  hive: Hive,
  service: ServiceName,
  start: Start,
  signal: AbortSignal,
): AsyncGenerator<Beginning> {
  for await (const { record, compacted } of hive[service].watchEvents({ ...start, untilNow: true }, { signal })) {
    if (record) yield { service, record, compacted };
  }
}

/** Several pasts as one, by time. */
export async function* merged<T extends Told>(sources: readonly AsyncGenerator<T>[]): AsyncGenerator<T> {
  const heads = await Promise.all(sources.map((source) => source.next()));
  for (;;) {
    let first = -1;
    for (const [i, head] of heads.entries()) {
      if (!head.done && (first < 0 || timeOf(head.value) < timeOf((heads[first] as { value: T }).value))) first = i;
    }
    if (first < 0) return;
    yield (heads[first] as { value: T }).value;
    heads[first] = await (sources[first] as AsyncGenerator<T>).next();
  }
}

/** What only says where a past begins comes first. */
const timeOf = ({ record }: Told): string => record.time ?? '';

const RETRY_MS = 500;

/**
 * What happens from a revision on, for ever: a stream that breaks is taken up again where it was. Calls `begun` each time
 * with the revision from which it goes on. Throws what cannot be mended, COMPACTED among them.
 */
export async function* follow(
  hive: Hive,
  service: ServiceName,
  fromRevision: string,
  signal: AbortSignal,
  outage: Outage,
): AsyncGenerator<Told> {
  for (let from = fromRevision; !signal.aborted; ) {
    try {
      for await (const { record } of hive[service].watchEvents({ fromRevision: from }, { signal })) {
        if (!record) continue;
        outage.back();
        from = record.revision;
        yield { service, record };
      }
    } catch (caught) {
      if (signal.aborted) return;
      const error = HiveError.from(caught);
      if (!error.retryable) throw error;
      outage.lost(error);
    }
    await pause(systemClock, RETRY_MS, signal);
  }
}

/** A record's events as `events` shows them: as they were announced. */
export const busEvents = ({ service, record }: Told, federation: string): BusEvent[] =>
  record.events.map(({ type, key, data }) => ({
    subject: announcementSubject(federation, service, type, key),
    time: record.time ?? '',
    headers: { 'hive-revision': record.revision, 'hive-epoch': record.epoch },
    data,
  }));
