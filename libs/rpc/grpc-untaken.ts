import { constants } from 'node:http2';
import type { Clock } from '../kernel/clock.ts';
import { InFlight, type Running, takesNothing } from './in-flight.ts';

/** Of a call on the server's side, as grpc-js has it. */
export interface Leavable {
  /** It is over: answered and taken, or given up. */
  readonly cancelled: boolean;
  /** Told when it is over, however it ended. */
  on(event: 'cancelled', listener: () => void): unknown;
}

/**
 * Calls that are answered and whose client has not taken the answer yet. HTTP/2 lets a client take nothing for ever, and
 * what waits for it stays in memory. Who has taken nothing by the end of its time is broken off, and so is whoever has
 * waited longest when there are too many.
 */
export class Untaken {
  readonly #calls: InFlight<Running>;
  readonly #clock: Clock;
  readonly #limit: number;

  constructor(clock: Clock, limit: number) {
    this.#calls = new InFlight(clock, Number.POSITIVE_INFINITY);
    this.#clock = clock;
    this.#limit = limit;
  }

  get size(): number {
    return this.#calls.size;
  }

  add(call: Leavable, withinMs: number): void {
    if (call.cancelled) return;
    const waiting: Running = {
      deadline: this.#clock.monotonic() + withinMs,
      streams: false,
      end: () => {
        if (this.#calls.remove(waiting)) breakOff(call);
      },
    };
    this.#calls.add(waiting);
    call.on('cancelled', () => this.#calls.remove(waiting));
    if (this.#calls.size > this.#limit) this.#calls.oldest?.end(takesNothing(withinMs));
  }
}

/**
 * Resets a call's HTTP/2 stream; its client sees RESOURCE_EXHAUSTED. grpc-js itself only ends a stream after all that was
 * sent before has been taken, and does not give it away; test/integration/grpc-stalled.test.ts fails should it move.
 */
function breakOff(call: Leavable): void {
  const stream: unknown = Reflect.get(Object(Reflect.get(call, 'call')), 'stream');
  if (isStream(stream)) stream.close(constants.NGHTTP2_ENHANCE_YOUR_CALM);
}

const isStream = (value: unknown): value is { close(code: number): void } =>
  typeof value === 'object' && value !== null && 'close' in value && typeof value.close === 'function';
