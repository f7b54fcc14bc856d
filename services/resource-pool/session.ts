import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call, RequestId } from '../../libs/protocol/call.ts';
import { describePrincipal, type Principal } from '../../libs/protocol/principal.ts';
import type { Api } from '../../libs/rpc/api.ts';
import type { Authenticate } from '../../libs/rpc/authenticate.ts';
import { BACKGROUND, fromActiveSpan, type Observe, type Observed } from '../../libs/rpc/observe.ts';
import { ownRequest } from '../../libs/rpc/server-call.ts';
import {
  PoolSessionServiceService,
  type SessionAnswer,
  type SessionCall,
  type SessionRequest,
  type SessionResponse,
} from '../../libs/wire/hivebus/pool/v1/session.ts';
import { refusalOf } from './refusal.ts';
import { SessionAgent, type SessionAgentDeps } from './session-agent.ts';
import { type Answerer, type Asked, answerCall } from './session-calls.ts';
import { SessionOutbox } from './session-outbox.ts';
import { requireToken } from './validation/bulk.ts';
import { CALLS, type CallKind, checkMessage, checkOpening, kindOf } from './validation/session.ts';

export type SessionApi = Api<typeof PoolSessionServiceService>;

export interface SessionDeps extends SessionAgentDeps {
  readonly authenticate: Authenticate;
  readonly observe?: Observe | undefined;
}

const DEFAULT_WINDOW = 64;
/** A journal keeps a client's last 32 answers: with 16 unanswered ones each is found again. */
const LANE = 16;
const NOTHING: SessionRequest = { token: '', calls: [], lines: [] };
/** How often it is looked whether the token is still good, in milliseconds; at each message, too. */
const LOOK_MS = 1000;

/**
 * Sessions of one federation on one replica. A session is no state of the pool: calls go to whoever leads as any others,
 * and an agent's assignments come to this replica on the subject of the agent's instance, as they would come to the agent.
 * So it does not matter which replica serves it, and when it breaks the pool finds out as of any agent: nobody listens.
 */
export function sessionApi(deps: SessionDeps): SessionApi {
  return {
    async *session(requests, call) {
      requireToken(call, 'session');
      using session = new Session(deps, call);
      void session.read(requests);
      yield* session.messages();
    },
  };
}

class Session implements Disposable {
  readonly #deps: SessionDeps;
  readonly #call: Call;
  readonly #outbox: SessionOutbox;
  readonly #closing = new AbortController();
  /** Numbers of calls that are not answered. */
  readonly #unanswered = new Set<number>();
  #token: string;
  /** A call with this token, in no trace of its own. */
  #own: Call | undefined;
  /** Clients of request ids: numbers go round them, so that of those that are unanswered none has more than its answers. */
  #lanes: readonly string[] = [];
  #window = 0;
  #agent: SessionAgent | undefined;
  #answerer: Answerer;
  /** The client has closed its side. */
  #saidAll = false;
  #answered: (() => void) | undefined;
  #looking: Disposable | undefined;

  constructor(deps: SessionDeps, call: Call) {
    this.#deps = deps;
    this.#call = call;
    this.#token = call.token;
    this.#outbox = new SessionOutbox();
    this.#answerer = { api: deps.api, agent: undefined };
    const { signal } = call;
    const broken = () => this.#outbox.fail(HiveError.from(signal.reason));
    if (signal.aborted) broken();
    signal.addEventListener('abort', broken, { once: true });
    this.#lookLater();
  }

  messages(): AsyncGenerator<SessionResponse> {
    return this.#outbox.messages();
  }

  /** Takes what the client sends, until it closes its side and has been answered, or the session fails. Never rejects. */
  async read(requests: AsyncIterable<SessionRequest>): Promise<void> {
    try {
      let isOpened = false;
      for await (const request of requests) {
        if (this.#closing.signal.aborted) return;
        // The door has just looked at the first one's.
        if (isOpened || request.token !== '') this.#identify(request.token);
        if (!isOpened) await this.#open(request);
        else checkMessage(request, true, this.#agent !== undefined);
        isOpened = true;
        this.#take(request);
        await this.#outbox.room();
      }
      if (!isOpened) checkOpening(NOTHING);
      this.#saidAll = true;
      if (this.#unanswered.size > 0) {
        await new Promise<void>((resolve) => {
          this.#answered = resolve;
        });
      }
      this.#outbox.end();
    } catch (error) {
      this.#outbox.fail(HiveError.from(error));
    }
  }

  [Symbol.dispose](): void {
    this.#closing.abort(new HiveError('CANCELLED', 'the session is over'));
    this.#looking?.[Symbol.dispose]();
    const { signal } = this.#call;
    const hungUp = signal.aborted && HiveError.from(signal.reason).code === 'CANCELLED';
    this.#agent?.close(this.#saidAll || hungUp);
  }

  async #open(request: SessionRequest): Promise<void> {
    const open = checkOpening(request);
    checkMessage(request, false, open.agent !== undefined);
    this.#window = open.window || DEFAULT_WINDOW;
    this.#lanes = lanesOf(open.client, this.#window, this.#call.principal);
    const opened = { heartbeatMs: 0, window: this.#window };
    if (!open.agent) return this.#outbox.opened(opened);
    const agent = new SessionAgent(this.#deps, open.agent, open.logSeed, this.#outbox, () => this.#callOf(''));
    this.#agent = agent;
    this.#answerer = { api: this.#deps.api, agent };
    const registered = await agent.register();
    this.#outbox.opened({ ...opened, ...registered });
    await agent.compare();
  }

  #take({ heartbeat, lines, calls }: SessionRequest): void {
    if (heartbeat) this.#agent?.beat(heartbeat.busy, this.#token, heartbeat.progress);
    if (lines.length > 0) this.#agent?.log(lines);
    for (const call of calls) void this.#ask(call);
  }

  #ask(call: SessionCall): void {
    const number = Number(call.number);
    if (this.#unanswered.has(number)) return; // it will be answered
    if (this.#unanswered.size >= this.#window) {
      return this.#outbox.answer({ number: call.number, refusal: refusalOf(tooMany(this.#window)) });
    }
    this.#unanswered.add(number);
    const kind = kindOf(call);
    const asked: Asked = { call, kind, own: this.#callOf(call.traceparent), request: this.#requestOf(number) };
    this.#observed(asked).then(
      (answer) => this.#answer(number, answerOf(call.number, kind, answer)),
      (error: unknown) => this.#answer(number, { number: call.number, refusal: refusalOf(error) }),
    );
  }

  #answer(number: number, answer: SessionAnswer): void {
    this.#outbox.answer(answer);
    this.#unanswered.delete(number);
    if (this.#unanswered.size === 0) this.#answered?.();
  }

  /**
   * Each call is counted and timed by its kind. One that names a trace has its span there; all others would hang below the
   * stream, which may live for days, so they have none.
   */
  #observed(asked: Asked): Promise<object> {
    const { observe } = this.#deps;
    if (!observe) return answerCall(this.#answerer, asked);
    const { call, kind, own } = asked;
    const isTraced = call.traceparent !== '';
    const trace = isTraced ? own.trace : BACKGROUND;
    const info: Observed = { federation: own.federation, trace, ...NAMES[kind] };
    return observe(info, () => {
      if (!isTraced) return answerCall(this.#answerer, asked);
      return answerCall(this.#answerer, { ...asked, own: { ...own, trace: fromActiveSpan(own.trace) } });
    });
  }

  /** A call as the one who is there now. */
  #callOf(traceparent: string): Call {
    const { federation, principal, trace } = this.#call;
    const { signal } = this.#closing;
    this.#own ??= { federation, principal, token: this.#token, trace, signal };
    return traceparent === '' ? this.#own : { ...this.#own, trace: { ...trace, traceparent } };
  }

  #requestOf(number: number): RequestId {
    const count = this.#lanes.length;
    return { client: this.#lanes[(number - 1) % count] as string, counter: Math.floor((number - 1) / count) + 1 };
  }

  /** Takes over a newer token; throws when the one in use is not good any more, or the new one is somebody else's. */
  #identify(newer: string): void {
    const { federation, principal } = this.#call;
    const now = this.#deps.authenticate(newer || this.#token, federation);
    if (!isSame(now, principal)) throw another(now, principal);
    if (newer === '') return;
    this.#token = newer;
    this.#own = undefined;
  }

  #lookLater(): void {
    this.#looking = this.#deps.clock.after(LOOK_MS, () => {
      try {
        this.#identify('');
        this.#lookLater();
      } catch (error) {
        this.#outbox.fail(HiveError.from(error));
      }
    });
  }
}

const CALL = { side: 'server', transport: 'grpc', service: 'pool' } as const;

/** Of a call in spans and metrics, as if each kind were a method, e.g. `Session.ReportTask`. */
const NAMES = Object.fromEntries(
  CALLS.map((kind) => {
    const method = `${kind.charAt(0).toUpperCase()}${kind.slice(1)}`;
    const fullName = `${PoolSessionServiceService.session.path.slice(1)}/${method}`;
    return [kind, { ...CALL, method: `Session.${method}`, fullName }];
  }),
) as Record<CallKind, Omit<Observed, 'federation' | 'trace'>>;

/** Each call is answered by one. A key that is computed in the literal would take a third of a microsecond (V8 11.3). */
function answerOf(number: string, kind: CallKind, given: object): SessionAnswer {
  const answer: SessionAnswer = { number };
  (answer as Partial<Record<CallKind, object>>)[kind] = given;
  return answer;
}

function lanesOf(client: string, window: number, principal: Principal): readonly string[] {
  const count = Math.ceil(window / LANE);
  return Array.from({ length: count }, (_, i) => {
    return ownRequest({ client: `${client}-${count}-${i}`, counter: 1 }, principal).client;
  });
}

const keyOf = (principal: Principal): string => ('key' in principal ? principal.key : '');
const isSame = (a: Principal, b: Principal): boolean =>
  describePrincipal(a) === describePrincipal(b) && keyOf(a) === keyOf(b);

const another = (now: Principal, before: Principal): HiveError => {
  const message = `this is the session of ${describePrincipal(before)} and its key; the token is of ${describePrincipal(now)}`;
  return new HiveError('PERMISSION_DENIED', message, { reason: 'TOKEN_OF_ANOTHER' });
};

const tooMany = (window: number): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `${window} calls of the session are unanswered, which is its window`, {
    ...{ retryable: true, retryAfterMs: 20, reason: 'WINDOW_EXCEEDED' },
  });
