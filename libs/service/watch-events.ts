import type { Committed, Journal } from '../journal/journal.ts';
import { HiveError } from '../kernel/errors.ts';
import { timestamp } from '../kernel/timestamps.ts';
import type { EventOf, Machine, Shape } from '../protocol/machine.ts';
import type { JournalRecord } from '../wire/hivebus/journal/v1/journal.ts';
import { watchStart } from './watch-start.ts';

/** What a service's WatchEvents method is asked, and how it answers: the same of each service. */
export interface EventsRequest {
  readonly fromRevision: string;
  readonly since?: string | undefined;
  readonly untilNow: boolean;
}

export interface EventsResponse {
  readonly record: JournalRecord;
  readonly compacted: boolean;
}

/**
 * Every event after a revision or since a time. An item without events says where the watch begins: the first one, and
 * one more when the journal was cut between looking for a time and reading from there.
 */
export async function* watchEvents<M extends Shape>(
  journal: Journal<M>,
  keys: Machine<M>['events'],
  request: EventsRequest,
  signal: AbortSignal,
): AsyncGenerator<EventsResponse> {
  let told = request.since === undefined;
  for (let cut = false; ; cut = true) {
    const { start, compacted } = await beginning(journal, request, signal);
    const end = request.untilNow ? journal.revision : undefined;
    yield { record: { revision: String(start), epoch: '0', events: [] }, compacted: compacted || cut };
    try {
      for await (const committed of journal.watch(start, signal, end)) {
        told = true;
        yield { record: recordOf(journal, keys, committed), compacted: false };
      }
      return;
    } catch (error) {
      if (told || !(error instanceof HiveError) || error.reason !== 'COMPACTED') throw error;
    }
  }
}

async function beginning<M extends Shape>(journal: Journal<M>, request: EventsRequest, signal: AbortSignal) {
  if (request.since === undefined) {
    return { start: await watchStart(journal, Number(request.fromRevision), signal), compacted: false };
  }
  const { revision, compacted } = await journal.before(Date.parse(request.since), signal);
  return { start: revision, compacted };
}

function recordOf<M extends Shape>(
  journal: Journal<M>,
  keys: Machine<M>['events'],
  { revision, time, epoch, events }: Committed<M>,
): JournalRecord {
  const { state } = journal;
  return {
    revision: String(revision),
    time: timestamp(time),
    epoch: String(epoch),
    events: events.map(({ type, data }: EventOf<M>) => ({
      type,
      key: keys[type].key(data, state),
      data: JSON.parse(JSON.stringify(data)), // without what is undefined, which is no JSON
    })),
  };
}
