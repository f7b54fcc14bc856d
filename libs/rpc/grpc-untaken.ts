import { constants } from 'node:http2';
import type { Clock } from '../kernel/clock.ts';

/** How often it is looked who has taken nothing for too long, in milliseconds. */
const SWEEP_MS = 250;

/**
 * Calls that are answered and whose client has not taken the answer yet. HTTP/2 lets a client take nothing for ever, and
 * what waits for it stays in memory. Who has taken nothing by the end of its time is broken off, and so is whoever has
 * waited longest when there are too many.
 */
export class Untaken {
  /** By when each must be over, by the clock's `monotonic`; the oldest first. A new one whenever it is empty: see SlotSet. */
  #calls = new Map<object, number>();
  readonly #clock: Clock;
  readonly #limit: number;
  #sweeping = false;

  constructor(clock: Clock, limit: number) {
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    return this.#calls.size;
  }

  /** A call of grpc-js that was answered, and is not over. */
  add(call: object, withinMs: number): void {
    this.#calls.set(call, this.#clock.monotonic() + withinMs);
    if (this.#calls.size > this.#limit) {
      for (const oldest of this.#calls.keys()) return this.#drop(oldest);
    }
    if (!this.#sweeping) this.#sweepLater();
  }

  /** It is over: taken, or given up. */
  remove(call: object): void {
    if (this.#calls.delete(call) && this.#calls.size === 0) this.#calls = new Map();
  }

  #drop(call: object): void {
    this.#calls.delete(call);
    breakOff(call);
  }

  #sweepLater(): void {
    this.#sweeping = true;
    this.#clock.after(SWEEP_MS, () => {
      this.#sweeping = false;
      const now = this.#clock.monotonic();
      for (const [call, due] of this.#calls) if (due <= now) this.#drop(call);
      if (this.#calls.size > 0) this.#sweepLater();
    });
  }
}

/**
 * Resets a call's HTTP/2 stream; its client sees RESOURCE_EXHAUSTED. grpc-js itself only ends a stream after all that was
 * sent before has been taken, and does not give it away; test/integration/grpc-stalled.test.ts fails should it move.
 */
function breakOff(call: object): void {
  const stream: unknown = Reflect.get(Object(Reflect.get(call, 'call')), 'stream');
  if (isStream(stream)) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

const isStream = (value: unknown): value is { close(code: number): void } =>
  typeof value === 'object' && value !== null && 'close' in value && typeof value.close === 'function';
