import { HiveError } from '../kernel/errors.ts';

interface Entry<Request, Answer> {
  readonly request: Request;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

/** What is asked in one tick as one call with many items, at most `most` of them: a call costs more than most items. */
export class Together<Request, Answer> {
  readonly #all: (requests: Request[]) => Promise<readonly Answer[]>;
  readonly #most: number;
  #waiting: Entry<Request, Answer>[] = [];

  /** `all` answers each request in its place. */
  constructor(all: (requests: Request[]) => Promise<readonly Answer[]>, most: number) {
    this.#all = all;
    this.#most = most;
  }

  call(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      if (this.#waiting.push({ request, resolve, reject }) === 1) queueMicrotask(() => this.#flush());
    });
  }

  #flush(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (let i = 0; i < waiting.length; i += this.#most) void this.#send(waiting.slice(i, i + this.#most));
  }

  async #send(entries: readonly Entry<Request, Answer>[]): Promise<void> {
    try {
      const answers = await this.#all(entries.map(({ request }) => request));
      for (const [i, { resolve }] of entries.entries()) resolve(answers[i] as Answer);
    } catch (error) {
      for (const { reject } of entries) reject(error);
    }
  }
}

/** Calls until it is accepted or refused for good. */
export type Settled = <T>(call: () => Promise<T>) => Promise<T>;

/** So many go in one call. */
const MAX_TOGETHER = 100;

/**
 * Calls of one tick as one. What it gives no answer for is to be asked again alone, and answered as what came alone: what is
 * refused, what has no company, and all when the call cannot be made, as with an older pool.
 */
export function togetherOrNot<Request, Answer>(
  settled: Settled,
  all: (requests: Request[]) => Promise<(Answer | undefined)[]>,
): Together<Request, Answer | undefined> {
  // What the bus cannot carry together will not pass by itself, as other refusals do for which it is asked again.
  const unlessTooLarge = (requests: Request[]) =>
    all(requests).catch((cause) => {
      if (HiveError.from(cause).reason === 'TOO_LARGE') return [];
      throw cause;
    });
  return new Together(
    async (requests) => (requests.length === 1 ? [] : settled(() => unlessTooLarge(requests)).catch(() => [])),
    MAX_TOGETHER,
  );
}
