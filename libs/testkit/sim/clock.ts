import type { Clock } from '../../kernel/clock.ts';

interface Event {
  at: number;
  order: number;
  node: Node | undefined;
  run: () => void;
}

/** A simulated process: it can stop for a while (SIGSTOP) or for good (SIGKILL), and its server can be cut off. */
export interface Node {
  dead: boolean;
  pausedUntil: number;
  /**
   * While its server is cut off from the cluster: that one answers for a time as if it still led, from what it had by
   * then, and reaches nobody else.
   */
  cutOff: { readonly first: number; readonly last: number; readonly snapshots: Map<string, Uint8Array> } | undefined;
}

/** Simulated time: a queue of events, run one by one; between two of them all promises settle. */
export class SimTime {
  now = 0;
  #order = 0;
  #events: Event[] = [];

  /** Runs `run` after `ms`, unless `node` is dead by then; a stopped node runs it when it goes on. */
  after(ms: number, run: () => void, node?: Node): Disposable {
    const event: Event = { at: this.now + ms, order: this.#order++, node, run };
    this.#push(event);
    return {
      [Symbol.dispose]: () => {
        event.run = () => {};
      },
    };
  }

  /** A node's view of time; `skewMs` is how far its wall clock is off. */
  clock(node: Node, skewMs: number): Clock {
    return {
      now: () => 1_700_000_000_000 + Math.floor(this.now) + skewMs,
      monotonic: () => this.now,
      after: (ms, run) => this.after(ms, run, node),
      defer: (run) => void this.after(0, run, node),
    };
  }

  /** Runs events until `until`, or until `done` says so. */
  async run(until: number, done: () => boolean = () => false): Promise<void> {
    await settle();
    while (!done()) {
      const next = this.#events[0];
      if (!next || next.at > until) break;
      this.#pop();
      this.now = Math.max(this.now, next.at);
      if (next.node?.dead) continue;
      if (next.node && next.node.pausedUntil > this.now) {
        this.#push({ ...next, at: next.node.pausedUntil, order: this.#order++ });
        continue;
      }
      next.run();
      await settle();
    }
    if (!done()) this.now = Math.max(this.now, until);
  }

  #push(event: Event): void {
    const events = this.#events;
    let i = events.push(event) - 1;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (!before(event, events[parent] as Event)) break;
      events[i] = events[parent] as Event;
      i = parent;
    }
    events[i] = event;
  }

  #pop(): void {
    const events = this.#events;
    const last = events.pop() as Event;
    if (events.length === 0) return;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= events.length) break;
      if (child + 1 < events.length && before(events[child + 1] as Event, events[child] as Event)) child++;
      if (!before(events[child] as Event, last)) break;
      events[i] = events[child] as Event;
      i = child;
    }
    events[i] = last;
  }
}

const before = (a: Event, b: Event): boolean => a.at < b.at || (a.at === b.at && a.order < b.order);

/** Lets every promise that can settle do so. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
