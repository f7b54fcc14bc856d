import type { ForwardReply, LeaderLine } from '../../journal/ports.ts';
import { HiveError } from '../../kernel/errors.ts';
import type { Rng } from '../../kernel/rng.ts';
import type { Node, SimTime } from './clock.ts';

interface Listener {
  readonly node: Node;
  readonly serve: (forwarded: unknown) => Promise<ForwardReply>;
  readonly onBeat: (epoch: number) => void;
}

/** The leader's private subject: a dead process's subscription is gone, a stopped one's stays. */
export class SimLine {
  readonly #time: SimTime;
  readonly #rng: Rng;
  readonly #listeners = new Set<Listener>();
  /** Chance that a message is lost. */
  lost = 0;

  constructor(time: SimTime, rng: Rng) {
    this.#time = time;
    this.#rng = rng;
  }

  line(node: Node): LeaderLine {
    return {
      listen: (serve, onBeat) => {
        const listener = { node, serve, onBeat };
        this.#listeners.add(listener);
        return { [Symbol.dispose]: () => void this.#listeners.delete(listener) };
      },
      probe: (epoch, timeoutMs) =>
        new Promise((resolve) => {
          this.#time.after(timeoutMs, () => resolve('silent'), node);
          if (this.#isLost()) return;
          this.#time.after(this.#hop(), () => {
            const heard = this.#alive(node);
            if (heard.length === 0) return void this.#time.after(this.#hop(), () => resolve('none'), node);
            for (const { node: other, onBeat } of heard) {
              this.#time.after(
                0,
                () => {
                  this.#time.after(this.#hop(), () => resolve('alive'), node);
                  onBeat(epoch);
                },
                other,
              );
            }
          });
        }),
      beat: (epoch) => {
        for (const { node: other, onBeat } of this.#alive(node)) {
          if (!this.#isLost()) this.#time.after(this.#hop(), () => onBeat(epoch), other);
        }
      },
      forward: (forwarded) =>
        new Promise((resolve, reject) => {
          const fail = (reason: string) => () => reject(new HiveError('UNAVAILABLE', reason, { reason }));
          this.#time.after(400, fail('NO_ANSWER'), node);
          if (this.#isLost()) return;
          this.#time.after(this.#hop(), () => {
            const heard = this.#alive(node);
            if (heard.length === 0) return void this.#time.after(this.#hop(), fail('NOBODY_LEADS'), node);
            for (const { node: other, serve } of heard) {
              this.#time.after(
                0,
                () => {
                  void serve(structuredClone(forwarded)).then((reply) =>
                    this.#time.after(this.#hop(), () => resolve(structuredClone(reply)), node),
                  );
                },
                other,
              );
            }
          });
        }),
    };
  }

  /** Who listens and is reached by `from`. */
  #alive(from: Node): Listener[] {
    const reached = ({ node }: Listener) => node === from || (!node.cutOff && !from.cutOff);
    return [...this.#listeners].filter((listener) => !listener.node.dead && reached(listener));
  }

  #hop(): number {
    return 0.2 + this.#rng() * 2;
  }

  #isLost(): boolean {
    return this.lost > 0 && this.#rng() < this.lost;
  }
}
