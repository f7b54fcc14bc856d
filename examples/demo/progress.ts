import { formatDuration } from '../../libs/kernel/durations.ts';

/** Where the work stands. */
export interface Standing {
  readonly done: number;
  readonly total: number;
  readonly running: number;
  readonly borrowed: number;
  readonly retried: number;
}

const PLAIN_EVERY_MS = 3000;
const REDRAW_MS = 100;
const BAR = 24;

/** Shows how far it is: one line that changes on a terminal, a line every few seconds elsewhere. */
export class Progress implements Disposable {
  readonly #out: NodeJS.WriteStream;
  readonly #startedAt = performance.now();
  readonly #standing: () => Standing;
  readonly #timer: NodeJS.Timeout;

  constructor(out: NodeJS.WriteStream, standing: () => Standing) {
    this.#out = out;
    this.#standing = standing;
    this.#timer = setInterval(() => this.#show(), out.isTTY ? REDRAW_MS : PLAIN_EVERY_MS);
  }

  /** A line of its own, above the one that changes. */
  say(text: string): void {
    this.#out.write(this.#out.isTTY ? `\r\x1b[K${text}\n` : `${text}\n`);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#show();
    if (this.#out.isTTY) this.#out.write('\n');
  }

  #show(): void {
    const { done, total, running, borrowed, retried } = this.#standing();
    const share = total === 0 ? 0 : done / total;
    const filled = Math.round(share * BAR);
    const bar = `${'█'.repeat(filled)}${'░'.repeat(BAR - filled)}`;
    const time = formatDuration(performance.now() - this.#startedAt);
    const text = `${bar} ${done}/${total} files, ${running} running, ${borrowed} borrowed, ${retried} again, ${time}`;
    this.#out.write(this.#out.isTTY ? `\r\x1b[K${text.slice(0, (this.#out.columns || 80) - 1)}` : `  ${text}\n`);
  }
}
