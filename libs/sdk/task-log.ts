import type { Clock } from '../kernel/clock.ts';
import type { LogLine, LogStream } from '../wire/hivebus/pool/v1/pool.ts';
import { cutBytes } from './line-splitter.ts';

/** Longer lines are cut, in bytes of UTF-8. */
export const MAX_LINE_BYTES = 8192;

/**
 * Sustained output of one attempt, in bytes a second; a line costs LINE_COST more than its text. A burst of two seconds'
 * worth passes at once. What a person can read or a build prints passes; a runaway loop does not fill the stream.
 */
const RATE = 1024 * 1024;
const BURST = 2 * RATE;
const LINE_COST = 256;
/** Lines kept back while the rate is exceeded; the oldest go first, so that the last ones, which say why, stay. */
const MAX_HELD_LINES = 200;
const REFILL_MS = 50;

export interface TaskLogOptions {
  readonly task: string;
  readonly attempt: number;
  readonly clock: Clock;
  /** Sends one line; must not block. */
  readonly send: (line: LogLine) => void;
  /** False while lines cannot be sent: they are held back, within the bound. */
  readonly ready?: () => boolean;
}

/** The output of one attempt on its way to the task's log: bounded in rate and memory, and never waited for. */
export class TaskLog {
  readonly #options: TaskLogOptions;
  #number = 0;
  #tokens = BURST;
  #refilledAt: number;
  #held: LogLine[] = [];
  #timer: Disposable | undefined;

  constructor(options: TaskLogOptions) {
    this.#options = options;
    this.#refilledAt = options.clock.monotonic();
  }

  /** How many were written so far. */
  get lines(): number {
    return this.#number;
  }

  write(stream: LogStream, text: string): void {
    const { task, attempt, clock } = this.#options;
    const at = new Date(clock.now()).toISOString();
    const line: LogLine = { task, attempt, stream, text: cutBytes(text, MAX_LINE_BYTES), number: ++this.#number, at };
    this.#held.push(line);
    this.#drain();
    // A line that is not kept leaves a gap in the numbers: readers see that something is missing.
    if (this.#held.length > MAX_HELD_LINES) this.#held.shift();
  }

  /** Sends what is held back, whatever the rate: the attempt has ended. */
  end(): void {
    this.#timer?.[Symbol.dispose]();
    this.#timer = undefined;
    this.#tokens = Number.POSITIVE_INFINITY;
    this.#send();
  }

  #drain(): void {
    this.#refill();
    this.#send();
    if (this.#held.length === 0 || this.#timer) return;
    this.#timer = this.#options.clock.after(REFILL_MS, () => {
      this.#timer = undefined;
      this.#drain();
    });
  }

  #refill(): void {
    const now = this.#options.clock.monotonic();
    this.#tokens = Math.min(BURST, this.#tokens + ((now - this.#refilledAt) / 1000) * RATE);
    this.#refilledAt = now;
  }

  #send(): void {
    let sent = 0;
    while (sent < this.#held.length && this.#tokens > 0 && (this.#options.ready?.() ?? true)) {
      const line = this.#held[sent++] as LogLine;
      this.#tokens -= LINE_COST + line.text.length;
      this.#options.send(line);
    }
    if (sent > 0) this.#held = this.#held.slice(sent);
  }
}
