import type { Appended, Bounds, Entry, Envelope, Log, SnapshotStore } from '../../journal/ports.ts';
import { HiveError } from '../../kernel/errors.ts';
import type { Rng } from '../../kernel/rng.ts';
import type { Node, SimTime } from './clock.ts';

/** Chances, each 0 to 1, of what may go wrong with one append or read. */
export interface Faults {
  /** The request never arrives. */
  readonly lost: number;
  /** The request arrives after the caller has given up. */
  readonly late: number;
  /** It is stored, and its acknowledgement does not arrive. */
  readonly ackLost: number;
  /** The server says that it is still working on it. */
  readonly inProcess: number;
  /** The request is delivered twice. */
  readonly repeated: number;
  /** The server has no room; nothing is stored. */
  readonly full: number;
  /** A read fails. */
  readonly readFails: number;
  /** A follower's stream breaks off. */
  readonly followBreaks: number;
}

export const NO_FAULTS: Faults = {
  lost: 0,
  late: 0,
  ackLost: 0,
  inProcess: 0,
  repeated: 0,
  full: 0,
  readFails: 0,
  followBreaks: 0,
};

const APPEND_TIMEOUT_MS = 60;

interface Follower {
  after: number;
  readonly node: Node;
  readonly onEntry: (entry: Entry) => void;
  readonly delayMs: number;
  closed: boolean;
}

/** One stream as JetStream keeps it, with its whole history for the checker. */
export class SimStream {
  /** Everything that was ever stored; the index is the sequence minus one. */
  readonly history: Entry[] = [];
  readonly #times: number[] = [];
  readonly #ids = new Map<string, number>();
  readonly #followers = new Set<Follower>();
  first = 1;

  constructor(time: SimTime, rng: Rng) {
    this.#time = time;
    this.#rng = rng;
  }

  readonly #time: SimTime;
  readonly #rng: Rng;
  faults: Faults = NO_FAULTS;

  get last(): number {
    return this.history.length;
  }

  /** What the server does with an append: duplicates are looked at before the sequence. */
  store(envelope: Envelope | undefined, body: Uint8Array, expected?: number): 'stored' | 'refused' | 'duplicate' {
    if (envelope && this.#ids.has(envelope.id)) return 'duplicate';
    if (expected !== undefined && expected !== this.last) return 'refused';
    const entry: Entry = { seq: this.last + 1, envelope, body };
    this.history.push(entry);
    this.#times.push(this.#time.now);
    if (envelope) this.#ids.set(envelope.id, entry.seq);
    for (const follower of this.#followers) this.#deliver(follower);
    return 'stored';
  }

  /** The stream as one process sees it, over its own bad network. */
  log(node: Node): Log {
    const read = <T>(answer: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        const fails = this.#time.now < this.#leaderlessUntil || this.#chance(this.faults.readFails);
        this.#after(node, 1 + this.#rng() * 3, () => {
          if (fails || (node.cutOff && this.#chance(0.5))) reject(new HiveError('UNAVAILABLE', 'the read failed'));
          else resolve(answer());
        });
      });
    return {
      append: (expected, envelope, body) => this.#append(node, expected, envelope, Buffer.from(body)),
      entryAt: (seq) =>
        read(() => {
          const { first, last } = this.#seenBy(node);
          return seq >= first && seq <= last ? this.history[seq - 1] : undefined;
        }),
      bounds: () => read(() => this.#seenBy(node)),
      follow: (after, onEntry, onBroken) => this.#follow(node, after, onEntry, onBroken),
      firstSince: (time, limit) =>
        read(() => {
          let seq = this.first;
          while (seq < limit && (this.#times[seq - 1] as number) + 1_700_000_000_000 < time) seq++;
          return seq;
        }),
      purge: (seq) =>
        read(() => {
          if (node.cutOff) return;
          this.first = Math.max(this.first, Math.min(seq, this.last) + 1);
        }),
    };
  }

  /** No server leads for a while: nothing is read, and what is appended is lost or kept until one does. */
  leaderless(ms: number): void {
    this.#leaderlessUntil = this.#time.now + ms;
  }

  #leaderlessUntil = 0;

  /** Cuts a process's server off for a while. */
  cutOff(node: Node, ms: number, snapshots: Map<string, Uint8Array>): void {
    if (node.cutOff) return;
    node.cutOff = { ...this.#seenBy(node), snapshots: new Map(snapshots) };
    this.#time.after(ms, () => {
      node.cutOff = undefined;
      for (const follower of this.#followers) this.#deliver(follower);
    });
  }

  #seenBy({ cutOff }: Node): Bounds {
    return cutOff ?? { first: Math.max(this.first, 1), last: this.last };
  }

  #append(node: Node, expected: number, envelope: Envelope, body: Uint8Array): Promise<Appended> {
    return new Promise((resolve) => {
      const unknown = (message: string, code: 'UNAVAILABLE' | 'RESOURCE_EXHAUSTED' = 'UNAVAILABLE') =>
        resolve({ outcome: 'unknown', error: new HiveError(code, message, { retryable: true }) });
      this.#after(node, APPEND_TIMEOUT_MS, () => unknown('no acknowledgement in time'));
      const { faults } = this;
      const leaderlessMs = Math.max(0, this.#leaderlessUntil - this.#time.now);
      if (node.cutOff || this.#chance(leaderlessMs > 0 ? 0.5 : faults.lost)) return;
      const answer = (run: () => void) => this.#after(node, 0.5 + this.#rng() * 3, run);
      if (this.#chance(faults.full)) {
        answer(() => unknown('no room', 'RESOURCE_EXHAUSTED'));
        if (this.#rng() < 0.5) return; // it said so, and may have kept it
      }
      const late = this.#chance(faults.late);
      const travelMs = leaderlessMs + (late ? APPEND_TIMEOUT_MS + this.#rng() * 300 : 0.5 + this.#rng() * 3);
      // What is on the wire arrives even when its sender is dead by then.
      this.#time.after(travelMs, () => {
        const stored = this.store(envelope, body, expected);
        if (this.#chance(faults.repeated))
          this.#time.after(this.#rng() * 20, () => this.store(envelope, body, expected));
        if (this.#chance(faults.ackLost)) return;
        answer(() => {
          if (this.#chance(faults.inProcess)) unknown('in process');
          else if (stored === 'stored') resolve({ outcome: 'committed' });
          else if (stored === 'refused') resolve({ outcome: 'refused' });
          else unknown('duplicate');
        });
      });
    });
  }

  #follow(
    node: Node,
    after: number,
    onEntry: (entry: Entry) => void,
    onBroken: (error: HiveError) => void,
  ): Disposable {
    const follower: Follower = { after, node, onEntry, delayMs: 0.5 + this.#rng() * 4, closed: false };
    const close = () => {
      follower.closed = true;
      this.#followers.delete(follower);
    };
    this.#after(node, 1, () => {
      if (follower.closed) return;
      // Asked for a purged sequence, an ordered consumer silently starts later.
      follower.after = Math.max(after, this.first - 1);
      this.#followers.add(follower);
      this.#deliver(follower);
    });
    if (this.#chance(this.faults.followBreaks)) {
      this.#after(node, this.#rng() * 400, () => {
        if (follower.closed) return;
        close();
        onBroken(new HiveError('UNAVAILABLE', 'the consumer broke off'));
      });
    }
    return { [Symbol.dispose]: close };
  }

  #deliver(follower: Follower): void {
    if (follower.after >= this.last || follower.node.cutOff) return;
    follower.after = Math.max(follower.after, this.first - 1);
    const entries = this.history.slice(follower.after, this.last);
    follower.after = this.last;
    this.#after(follower.node, follower.delayMs, () => {
      for (const entry of entries) if (!follower.closed) follower.onEntry(entry);
    });
  }

  #after(node: Node, ms: number, run: () => void): void {
    this.#time.after(ms, run, node);
  }

  #chance(probability: number): boolean {
    return probability > 0 && this.#rng() < probability;
  }
}

/** A bucket of snapshots; `damage` makes every copy of one unreadable. */
export class SimSnapshots {
  readonly contents = new Map<string, Uint8Array>();
  /** Also what was deleted since, for the checker. */
  readonly ever = new Map<string, Uint8Array>();
  readonly #time: SimTime;

  constructor(time: SimTime) {
    this.#time = time;
  }

  damage(name: string): void {
    this.contents.set(name, Buffer.from('damaged'));
  }

  store(node: Node): SnapshotStore {
    const later = <T>(answer: () => T): Promise<T> =>
      new Promise((resolve, reject) => {
        this.#time.after(
          2,
          () => {
            try {
              resolve(answer());
            } catch (error) {
              reject(error);
            }
          },
          node,
        );
      });
    const seen = () => node.cutOff?.snapshots ?? this.contents;
    const writable = () => {
      if (node.cutOff) throw new HiveError('UNAVAILABLE', 'cut off');
      return this.contents;
    };
    return {
      names: () => later(() => [...seen().keys()]),
      get: (name) => later(() => seen().get(name)),
      put: (name, content) =>
        later(() => {
          writable().set(name, content);
          this.ever.set(name, content);
        }),
      delete: (name) => later(() => void writable().delete(name)),
    };
  }
}
