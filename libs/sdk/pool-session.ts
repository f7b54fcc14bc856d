import { offAbort, onAbort } from '../kernel/aborts.ts';
import { type Clock, pauseAlive, systemClock } from '../kernel/clock.ts';
import { type Code, HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import { createGrpcClient } from '../rpc/grpc-client.ts';
import { MAX_TIME_MS } from '../rpc/times.ts';
import {
  PoolSessionServiceService,
  type SessionAnswer,
  type SessionCall,
  type SessionOpen,
  type SessionRequest,
} from '../wire/hivebus/pool/v1/session.ts';
import { type CallKind, checkedCall, checkOptions, MAX_BYTES } from './pool-session-checks.ts';
import type { PoolSessionOptions } from './pool-session-options.ts';
import { errorOf } from './refused.ts';
import { type Opening, SessionOpenings } from './session-openings.ts';

type RequestOf<K extends CallKind> = NonNullable<SessionCall[K]>;
type AnswerOf<K extends CallKind> = NonNullable<SessionAnswer[K]>;

/** Calls to the pool over one gRPC stream, for clients that call all the time: those of one tick ride in one message. */
export interface PoolSession extends AsyncDisposable {
  /** Rejects with what is wrong with the call, its refusal, or what ended the session for good. */
  call<K extends CallKind>(kind: K, request: Partial<RequestOf<K>>): Promise<AnswerOf<K>>;
  /** Answers what was called, and ends the stream. */
  close(): Promise<void>;
}

interface Pending {
  readonly call: SessionCall;
  /** On the wire. */
  readonly bytes: number;
  wasSent: boolean;
  settle(answer: SessionAnswer): void;
  reject(error: HiveError): void;
}

const NOTHING: SessionRequest = { token: '', calls: [], lines: [] };

/** After these another stream would end the same way. */
const FINAL: ReadonlySet<Code> = new Set(['INVALID_ARGUMENT', 'PERMISSION_DENIED', 'UNIMPLEMENTED', 'NOT_FOUND']);
const DEFAULT_WINDOW = 64;
const DEFAULT_OPENING_MS = 5000;
/** How long a server may take to end a stream on which nothing is to be answered any more, in milliseconds. */
const CLOSE_MS = 1000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 2000;
/** A client that says nothing sends a newer token so often, in milliseconds, if it has one. */
const RENEW_MS = 30_000;

/** Opens a session; calls may be made at once. Throws INVALID_ARGUMENT for options that cannot be. */
export function openPoolSession(options: PoolSessionOptions): PoolSession {
  return new StreamedSession(options);
}

class StreamedSession implements PoolSession {
  readonly #options: PoolSessionOptions;
  readonly #clock: Clock;
  readonly #open: SessionOpen;
  readonly #openings: SessionOpenings;
  /** Calls that were sent, or are about to be, by number; the oldest first. */
  readonly #unanswered = new Map<number, Pending>();
  /** Those that were not sent on this stream yet. */
  #unsent: Pending[] = [];
  /** Those beyond the window. */
  readonly #waiting: Pending[] = [];
  readonly #ended: Promise<void>;
  #number = 0;
  #token = '';
  /** What was refused as nobody's, the last time. */
  #refusedToken: string | undefined;
  /** The caller's function has thrown: another stream would end the same way. */
  #tokenFault: HiveError | undefined;
  readonly #over = new AbortController();
  /** Something was answered, so what was sent may have been done. */
  #wasHeard = false;
  #wake: (() => void) | undefined;
  #closing = false;
  #failure: HiveError | undefined;

  constructor(options: PoolSessionOptions) {
    const { clock = systemClock, window = DEFAULT_WINDOW, openingMs = DEFAULT_OPENING_MS, addresses, signal } = options;
    checkOptions(window, addresses, openingMs);
    this.#options = options;
    this.#clock = clock;
    this.#open = { client: `sdk-${randomId()}`, window, agent: undefined, logSeed: '' };
    this.#openings = new SessionOpenings(clock, openingMs, addresses.length);
    const abort = () => this.#abort();
    this.#ended = this.#run().finally(() => signal && offAbort(signal, abort));
    if (signal?.aborted) abort();
    else if (signal) onAbort(signal, abort);
  }

  call<K extends CallKind>(kind: K, request: Partial<RequestOf<K>>): Promise<AnswerOf<K>> {
    return new Promise((resolve, reject) => {
      if (this.#failure || this.#closing) return reject(this.#failure ?? closed());
      const { call, bytes } = checkedCall(++this.#number, kind, request);
      const settle = (answer: SessionAnswer) => {
        if (answer.refusal) reject(errorOf(answer.refusal));
        else resolve(answer[kind] as AnswerOf<K>);
      };
      const pending = { call, bytes, wasSent: false, settle, reject };
      if (this.#unanswered.size < this.#open.window) this.#send(pending);
      else this.#waiting.push(pending);
    });
  }

  async close(): Promise<void> {
    this.#closing = true;
    this.#tell();
    if (this.#isDone) this.#endSoon();
    await this.#ended;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #send(pending: Pending): void {
    this.#unanswered.set(Number(pending.call.number), pending);
    this.#unsent.push(pending);
    this.#tell();
  }

  #tell(): void {
    this.#wake?.();
    this.#wake = undefined;
  }

  get #isDone(): boolean {
    return this.#closing && this.#unanswered.size === 0 && this.#waiting.length === 0;
  }

  /** Stream after stream, until it is closed and answered, or failed for good. Never rejects. */
  async #run(): Promise<void> {
    const { addresses, onBreak } = this.#options;
    let delayMs = FIRST_DELAY_MS;
    for (let turn = 0; !this.#isDone; turn++) {
      const error = await this.#stream(addresses[turn % addresses.length] ?? '', () => {
        delayMs = FIRST_DELAY_MS;
      });
      if (this.#isDone) return;
      if (this.#isFinal(error)) return this.#fail(this.#tokenFault ?? error);
      try {
        onBreak?.(error);
      } catch (cause) {
        return this.#fail(HiveError.from(cause));
      }
      await pauseAlive(this.#clock, delayMs, this.#over.signal);
      delayMs = Math.min(2 * delayMs, MAX_DELAY_MS);
    }
  }

  /** One stream; what ended it. What was not answered before is asked again under its number. */
  async #stream(address: string, opened: () => void): Promise<HiveError> {
    const { federation = 'main' } = this.#options;
    const token = () => this.#ownToken();
    const over = new AbortController();
    let opening: Opening | undefined;
    try {
      // The opening is given up first; this closes the connection that it leaves behind.
      const greetingMs = Math.min(2 * this.#openings.patienceMs, MAX_TIME_MS);
      const options = { token, federation, isChecked: true, greetingMs };
      await using client = createGrpcClient(address, PoolSessionServiceService, options);
      const { signal } = this.#over;
      opening = this.#openings.wait(address, () => void client[Symbol.asyncDispose]());
      for await (const { answers } of client.session(this.#requests(over.signal), { signal })) {
        if (!opening.isOver) {
          opening.answered();
          opened();
        }
        this.#wasHeard = true;
        for (const answer of answers) this.#answered(answer);
      }
      return new HiveError('UNAVAILABLE', `${address} ended the session`);
    } catch (cause) {
      return opening?.error ?? HiveError.from(cause);
    } finally {
      opening?.[Symbol.dispose]();
      over.abort();
      this.#tell();
    }
  }

  async *#requests(over: AbortSignal): AsyncGenerator<SessionRequest> {
    const { window } = this.#open;
    this.#token = this.#ownToken();
    this.#unsent = [...this.#unanswered.values()];
    yield { ...NOTHING, open: this.#open };
    while (!over.aborted && !this.#isDone) {
      if (this.#unsent.length > 0) {
        // What is called in one tick goes in one message.
        await new Promise<void>((resolve) => this.#clock.defer(resolve));
        if (over.aborted) return;
        yield { ...NOTHING, calls: this.#next(window), token: this.#newerToken() };
      } else if (!(await this.#something())) {
        const newer = this.#newerToken();
        if (newer !== '' && !over.aborted) yield { ...NOTHING, token: newer };
      }
    }
  }

  /** The next calls that are to be sent, as many as one message carries. */
  #next(window: number): SessionCall[] {
    let count = 0;
    for (let bytes = 0; count < window && count < this.#unsent.length; count++) {
      bytes += this.#unsent[count]?.bytes ?? 0;
      if (bytes > MAX_BYTES && count > 0) break;
    }
    return this.#unsent.splice(0, count).map((pending) => {
      pending.wasSent = true;
      return pending.call;
    });
  }

  /** True when there is something to do, false when nothing was for a while. */
  async #something(): Promise<boolean> {
    return new Promise((resolve) => {
      const timer = this.#clock.after(RENEW_MS, () => resolve(false));
      this.#wake = () => {
        timer[Symbol.dispose]();
        resolve(true);
      };
    });
  }

  /** Empty when it is the one that was sent before. */
  #newerToken(): string {
    const token = this.#ownToken();
    if (token === this.#token) return '';
    this.#token = token;
    return token;
  }

  #answered(answer: SessionAnswer): void {
    const number = Number(answer.number);
    const pending = this.#unanswered.get(number);
    if (!pending) return;
    this.#unanswered.delete(number);
    pending.settle(answer);
    const next = this.#waiting.shift();
    if (next) this.#send(next);
    if (!this.#isDone) return;
    this.#tell();
    this.#endSoon();
  }

  #ownToken(): string {
    try {
      return this.#options.token();
    } catch (cause) {
      this.#tokenFault = HiveError.from(cause);
      throw cause;
    }
  }

  /** Would another stream end the same way? A token that was refused may have been replaced meanwhile. */
  #isFinal({ code, retryable }: HiveError): boolean {
    if (this.#tokenFault || FINAL.has(code)) return true;
    if (code !== 'UNAUTHENTICATED' || retryable) return false;
    const isRefusedAgain = this.#token === this.#refusedToken;
    this.#refusedToken = this.#token;
    return isRefusedAgain;
  }

  /** A server that does not end the stream is left. */
  #endSoon(): void {
    this.#clock.after(CLOSE_MS, () => this.#over.abort());
  }

  #abort(): void {
    this.#closing = true;
    this.#fail(new HiveError('CANCELLED', 'the session was ended'));
    this.#over.abort();
  }

  /** What was sent on a stream that was heard of may have been done. */
  #fail(error: HiveError): void {
    this.#failure = error;
    const open = this.#wasHeard ? new HiveError(error.code, `${error.message}; this may have happened`, error) : error;
    const all = [...this.#unanswered.values(), ...this.#waiting];
    this.#unanswered.clear();
    this.#waiting.length = 0;
    for (const { reject, wasSent } of all) reject(wasSent ? open : error);
  }
}

const closed = (): HiveError => new HiveError('FAILED_PRECONDITION', 'the session is closed');
