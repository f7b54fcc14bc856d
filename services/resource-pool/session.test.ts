import { expect, test } from 'vitest';
import type { Clock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import type { Principal } from '../../libs/protocol/principal.ts';
import { isBackground, type Observe, type Observed } from '../../libs/rpc/observe.ts';
import type { SessionRequest, SessionResponse } from '../../libs/wire/hivebus/pool/v1/session.ts';
import { type SessionDeps, sessionApi } from './session.ts';

/** Whose session it is, and how long. The pool and the clock are the test's. */

const code: Principal = { kind: 'swarm', swarm: 'code', key: 'key-code' };
const opening: SessionRequest = { open: { client: 'c', window: 2, logSeed: '' }, token: '', calls: [], lines: [] };
const call = (number: number, token = ''): SessionRequest => ({
  ...{ token, lines: [] },
  calls: [{ number: String(number), traceparent: '', releaseLease: { lease: 'l' } }],
});

/** A session on a clock that the test moves; tokens are good while they are in `good`. */
class Stage {
  readonly good = new Map<string, Principal>([['first', code]]);
  /** Tokens that calls were made with. */
  readonly calls: string[] = [];
  readonly observed: Observed[] = [];
  /** What the pool is about to answer. */
  answer: () => Promise<object> = async () => ({});
  readonly #timers = new Set<() => void>();
  readonly #sent: SessionRequest[] = [];
  readonly #abort = new AbortController();
  readonly #messages: AsyncIterator<SessionResponse>;
  #wake: (() => void) | undefined;

  constructor() {
    const clock = {
      after: (_: number, run: () => void) => {
        this.#timers.add(run);
        return { [Symbol.dispose]: () => void this.#timers.delete(run) };
      },
      defer: (run: () => void) => queueMicrotask(run),
    } as Clock;
    const releaseLease = (_: object, { token }: Call) => {
      this.calls.push(token);
      return this.answer();
    };
    const authenticate = (token: string) => {
      const principal = this.good.get(token);
      if (principal) return principal;
      throw new HiveError('UNAUTHENTICATED', 'over', { reason: 'TOKEN_EXPIRED' });
    };
    const observe: Observe = (info, run) => {
      this.observed.push(info);
      return run();
    };
    const deps = { clock, authenticate, observe, api: { releaseLease } } as unknown as SessionDeps;
    const { signal } = this.#abort;
    const trace = { traceparent: '', correlationId: 'c', hops: 0 };
    const who: Call = { federation: 'main', principal: code, token: 'first', trace, signal };
    this.#messages = sessionApi(deps).session(this.#requests(), who)[Symbol.asyncIterator]();
  }

  send(...messages: SessionRequest[]): void {
    this.#sent.push(...messages);
    this.#wake?.();
  }

  async next(): Promise<SessionResponse> {
    const { value } = await this.#messages.next();
    return value;
  }

  /** A second or so goes by. */
  tick(): void {
    const due = [...this.#timers];
    this.#timers.clear();
    for (const run of due) run();
  }

  break(): void {
    this.#abort.abort(new HiveError('UNAVAILABLE', 'stopping'));
  }

  async *#requests(): AsyncGenerator<SessionRequest> {
    for (;;) {
      for (let next = this.#sent.shift(); next; next = this.#sent.shift()) yield next;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

async function opened(): Promise<Stage> {
  const stage = new Stage();
  stage.send(opening);
  expect(await stage.next()).toMatchObject({ opened: { window: 2, heartbeatMs: 0 } });
  return stage;
}

test('a token that expires in silence ends the session', async () => {
  const stage = await opened();
  stage.tick();
  stage.good.clear();
  stage.tick();
  await expect(stage.next()).rejects.toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_EXPIRED' });
});

test('a message after the token has expired is not done', async () => {
  const stage = await opened();
  stage.good.clear();
  stage.send(call(1));
  await expect(stage.next()).rejects.toMatchObject({ reason: 'TOKEN_EXPIRED' });
  expect(stage.calls).toEqual([]);
});

test('a newer token takes the place of the one in use, from the very message on', async () => {
  const stage = await opened();
  stage.good.clear();
  stage.good.set('second', code);
  stage.send(call(1, 'second'));
  expect(await stage.next()).toMatchObject({ answers: [{ number: '1', releaseLease: {} }] });
  stage.tick();
  stage.send(call(2));
  await stage.next();
  expect(stage.calls).toEqual(['second', 'second']);
});

test.each<[string, Principal]>([
  ['another swarm', { ...code, swarm: 'quality' }],
  ['another key of the same name', { ...code, key: 'key-other' }],
])('a token of %s is refused', async (_, principal) => {
  const stage = await opened();
  stage.good.set('other', principal);
  stage.send(call(1, 'other'));
  await expect(stage.next()).rejects.toMatchObject({ code: 'PERMISSION_DENIED', reason: 'TOKEN_OF_ANOTHER' });
});

test('a number that is unanswered is asked once, and beyond the window nothing is', async () => {
  const stage = await opened();
  let answer = (): void => {};
  stage.answer = () => new Promise((resolve) => (answer = () => resolve({})));
  stage.send(call(1), call(1), call(2), call(3));
  expect(await stage.next()).toMatchObject({ answers: [{ number: '3', refusal: { reason: 'WINDOW_EXCEEDED' } }] });
  expect(stage.calls).toHaveLength(2);
  answer();
  expect(await stage.next()).toMatchObject({ answers: [{ number: '2' }] });
});

test('a server that stops ends it at once', async () => {
  const stage = await opened();
  stage.answer = () => new Promise(() => {});
  stage.send(call(1));
  stage.break();
  await expect(stage.next()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

test('each call is observed by its kind, and in the trace that it names, if it names one', async () => {
  const stage = await opened();
  const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
  const named = { number: '2', traceparent, releaseLease: { lease: 'l' } };
  stage.send(call(1), { token: '', lines: [], calls: [named] });
  while (stage.observed.length < 2) await stage.next();
  const fullName = 'hivebus.pool.v1.PoolSessionService/Session/ReleaseLease';
  const each = { side: 'server', transport: 'grpc', service: 'pool', method: 'Session.ReleaseLease', fullName };
  expect(stage.observed).toMatchObject([each, { ...each, trace: { traceparent } }]);
  expect(stage.observed.map(({ trace }) => isBackground(trace))).toEqual([true, false]);
});
