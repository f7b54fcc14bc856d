import { HiveError } from '../kernel/errors.ts';

/** What the pool takes. */
const MAX_CHECKPOINT_BYTES = 64 * 1024;

interface Waiting {
  data: unknown;
  readonly stored: Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: HiveError) => void;
}

/**
 * Stores the checkpoints of one attempt: one at a time, and while one is on its way only the newest waits, since it takes
 * the place of those before. So an attempt may say how far it is as often as it likes.
 */
export class CheckpointSaver {
  readonly #send: (data: unknown) => Promise<unknown>;
  #waiting: Waiting | undefined;
  #sending: Promise<void> | undefined;
  #closed = false;

  /** `send` settles when the pool has stored it, or refuses it for good. */
  constructor(send: (data: unknown) => Promise<unknown>) {
    this.#send = send;
  }

  /** Resolves when this checkpoint, or a newer one, is stored. Rejects with the pool's refusal, or INVALID_ARGUMENT. */
  save(data: unknown): Promise<void> {
    const fault = this.#closed ? tooLate() : faultOf(data);
    if (fault) return handled(Promise.reject(fault));
    if (this.#waiting) this.#waiting.data = data;
    else this.#waiting = waiting(data);
    const { stored } = this.#waiting;
    this.#sending ??= this.#sendAll();
    return stored;
  }

  /** Resolves when nothing is on its way any more. */
  async flushed(): Promise<void> {
    await this.#sending;
  }

  /** Takes no more. */
  close(): void {
    this.#closed = true;
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting) {
      const next = this.#waiting;
      this.#waiting = undefined;
      try {
        await this.#send(next.data);
        next.resolve();
      } catch (cause) {
        next.reject(HiveError.from(cause));
      }
    }
    this.#sending = undefined;
  }
}

function waiting(data: unknown): Waiting {
  let settle: Pick<Waiting, 'resolve' | 'reject'> | undefined;
  const stored = new Promise<void>((resolve, reject) => {
    settle = { resolve, reject };
  });
  return { data, stored: handled(stored), resolve: () => settle?.resolve(), reject: (error) => settle?.reject(error) };
}

/** Whoever does not care whether a checkpoint was stored must not end the process by that. */
function handled(promise: Promise<void>): Promise<void> {
  promise.catch(() => {});
  return promise;
}

function faultOf(data: unknown): HiveError | undefined {
  const text = JSON.stringify(data) as string | undefined;
  if (text === undefined)
    return new HiveError('INVALID_ARGUMENT', 'a checkpoint must be a JSON value, and there is none');
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_CHECKPOINT_BYTES) return undefined;
  return new HiveError(
    'INVALID_ARGUMENT',
    `the checkpoint has ${bytes} bytes, at most ${MAX_CHECKPOINT_BYTES} may be; keep what is large in a file of a volume`,
  );
}

const tooLate = (): HiveError => new HiveError('ABORTED', 'the attempt has ended, and takes no checkpoint any more');
