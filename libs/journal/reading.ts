import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import type { Leader } from './leader.ts';
import type { Recent } from './recent.ts';
import type { Replica } from './replica.ts';

export interface ReadingDeps<M extends Shape> {
  readonly machine: Machine<M>;
  readonly clock: Clock;
  readonly soft: M['soft'];
  readonly recent: Recent<M>;
  /** This replica's leader while it leads. */
  leader(): Leader<M> | undefined;
  /** Committed state that may be read; undefined while there is none. */
  serving(): Replica<M> | undefined;
  /** Resolves when there is some. */
  served(signal: AbortSignal): Promise<void>;
  /** Why there is none. */
  notServing(): HiveError;
}

/** Answers queries from committed state. */
export class Reading<M extends Shape> {
  readonly #deps: ReadingDeps<M>;

  constructor(deps: ReadingDeps<M>) {
    this.#deps = deps;
  }

  /** Waits for `minRevision`; throws DEADLINE_EXCEEDED when it was not reached before `signal` aborted. */
  async query<N extends keyof M['queries'] & string>(
    name: N,
    input: unknown,
    minRevision: number,
    signal: AbortSignal,
  ): Promise<M['queries'][N]['reply']> {
    const { recent, serving, served } = this.#deps;
    if (!serving() || recent.revision < minRevision) {
      await served(signal);
      await recent.past(minRevision - 1, signal);
      if (recent.revision < minRevision) throw tooEarly(minRevision, recent.revision);
    }
    return new Promise((resolve, reject) => {
      const read = () => {
        try {
          resolve(this.#read(name, input));
        } catch (error) {
          reject(HiveError.from(error));
        }
      };
      const leader = this.#deps.leader();
      if (leader) leader.whenCommitted(read);
      else read();
    });
  }

  #read<N extends keyof M['queries'] & string>(name: N, input: unknown): M['queries'][N]['reply'] {
    const { machine, clock, soft, recent } = this.#deps;
    const replica = this.#deps.serving();
    if (!replica) throw this.#deps.notServing();
    const now = Math.max(replica.time, clock.now());
    const view = { now, revision: recent.revision, epochStart: replica.epoch.time, soft };
    return machine.queries[name](replica.state, input as never, view);
  }
}

const tooEarly = (wanted: number, known: number): HiveError =>
  new HiveError('DEADLINE_EXCEEDED', `revision ${wanted} was not reached in time; this replica knows ${known}`, {
    retryable: true,
  });
