import { HiveError } from '../kernel/errors.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import type { Committed } from './journal.ts';
import type { Entry, Log } from './ports.ts';
import type { Recent } from './recent.ts';
import { compacted, decodeGroup } from './record.ts';
import { admit, type EpochMark, eventsOf, NO_EPOCH } from './replica.ts';

export interface WatchDeps<M extends Shape> {
  readonly machine: Machine<M>;
  readonly log: Log;
  readonly recent: Recent<M>;
  /** Epochs by where they begin, oldest first. */
  marks(): readonly EpochMark[];
  /** Has an operator marked the record to be passed over? */
  isSkipped(seq: number): boolean;
}

/** Every committed record after `from`, up to and with `until`, from the ring where it reaches so far back, else from the stream. */
export async function* watch<M extends Shape>(
  deps: WatchDeps<M>,
  from: number,
  signal: AbortSignal,
  until = Number.POSITIVE_INFINITY,
): AsyncGenerator<Committed<M>> {
  const { recent } = deps;
  let at = from === 0 ? recent.revision : from;
  while (!signal.aborted && at < until) {
    const inRing = recent.after(at);
    const { records, upTo } = inRing ? { records: inRing, upTo: recent.revision } : await readBack(deps, at);
    for (const record of records) {
      if (record.revision > until) return;
      yield record;
      if (signal.aborted) return;
    }
    at = Math.max(at, upTo);
    if (at < until) await recent.past(at, signal);
  }
}

/** Records that are read from the stream at a time. */
const BATCH = 1000;

async function readBack<M extends Shape>(
  deps: WatchDeps<M>,
  from: number,
): Promise<{ records: readonly Committed<M>[]; upTo: number }> {
  const bounds = await deps.log.bounds();
  if (from + 1 < bounds.first) throw compacted(from, bounds);
  const upTo = Math.min(deps.recent.floor, from + BATCH);
  const records: Committed<M>[] = [];
  for (const entry of await readRange(deps.log, from, upTo)) {
    const mark = markAt(deps.marks(), entry.seq);
    if (!mark) throw compacted(from, bounds);
    if (deps.isSkipped(entry.seq) || admit(entry, mark) !== 'group') continue;
    const group = decodeGroup(entry);
    const events = eventsOf(deps.machine, entry.seq, group.c);
    if (events.length > 0) records.push({ revision: entry.seq, time: group.t, epoch: mark.epoch, events });
  }
  return { records, upTo };
}

/** The epoch that is current for the entry at `seq`; undefined when it is not remembered any more. */
function markAt(marks: readonly EpochMark[], seq: number): EpochMark | undefined {
  for (let i = marks.length - 1; i >= 0; i--) {
    const mark = marks[i] as EpochMark;
    if (mark.seq < seq) return mark;
  }
  return marks[0]?.epoch === 1 || marks.length === 0 ? NO_EPOCH : undefined;
}

/** The entries after `from`, up to and with `upTo`; COMPACTED when some of them are gone. */
export function readRange(log: Log, from: number, upTo: number): Promise<readonly Entry[]> {
  return new Promise((resolve, reject) => {
    const entries: Entry[] = [];
    const following = log.follow(
      from,
      (entry) => {
        if (entry.seq !== from + 1 + entries.length) {
          following[Symbol.dispose]();
          return reject(compacted(from, { first: entry.seq, last: entry.seq }));
        }
        entries.push(entry);
        if (entry.seq < upTo) return;
        following[Symbol.dispose]();
        resolve(entries);
      },
      (error) => reject(HiveError.from(error)),
    );
  });
}
