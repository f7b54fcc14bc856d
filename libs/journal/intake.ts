import type { Shape } from '../protocol/machine.ts';
import type { Committed } from './journal.ts';
import type { Entry, Log, Observer, Sabotage } from './ports.ts';
import { decodeSkip } from './record.ts';
import { admit, type Replica } from './replica.ts';
import { readRange } from './watch.ts';

export interface IntakeDeps {
  readonly log: Log;
  readonly observer: Observer;
  readonly sabotage?: Sabotage;
}

/** Takes entries into a replica; passes over what an operator has marked, and nothing else. */
export class Intake {
  readonly #deps: IntakeDeps;
  readonly #skipped = new Set<number>();
  /** The record that could not be applied. */
  #stuckAt: number | undefined;

  constructor(deps: IntakeDeps) {
    this.#deps = deps;
  }

  /** Is the record to be passed over? Known of those that stood in the way, before the mark itself was reached. */
  passesOver(seq: number): boolean {
    return this.#skipped.has(seq);
  }

  /** Takes the next entry; throws DATA_LOSS when it counts and cannot be applied. */
  take<M extends Shape>(replica: Replica<M>, entry: Entry): Committed<M> | undefined {
    const { observer, sabotage } = this.#deps;
    if (admit(entry, replica.epoch) === 'void') {
      observer.count('void');
      observer.log('warn', 'a record is void: it was not written by the leader of its epoch', { seq: entry.seq });
      if (sabotage?.ignoreEpoch && entry.envelope?.kind === 'group') {
        const { epoch, writer } = replica.epoch;
        return replica.take({ ...entry, envelope: { ...entry.envelope, epoch, writer } });
      }
    }
    if (this.#skipped.has(entry.seq)) return replica.pass(entry);
    this.#stuckAt = entry.seq;
    const committed = replica.take(entry);
    this.#stuckAt = undefined;
    return committed;
  }

  /** Has an operator marked the record that could not be applied? Then it is passed over from now on. */
  async maySkip(): Promise<boolean> {
    const seq = this.#stuckAt;
    if (seq === undefined || this.#skipped.has(seq)) return false;
    const { log, observer } = this.#deps;
    const { last } = await log.bounds();
    const later = last > seq ? await readRange(log, seq, last) : [];
    if (!later.some((entry) => decodeSkip(entry)?.skip === seq)) return false;
    observer.log('warn', 'a record is passed over, as an operator has marked it', { seq });
    this.#skipped.add(seq);
    return true;
  }
}
