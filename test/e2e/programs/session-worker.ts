import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { systemClock } from '../../../libs/kernel/clock.ts';
import { HiveError } from '../../../libs/kernel/errors.ts';
import { randomId } from '../../../libs/kernel/ids.ts';
import { tokenSource } from '../../../libs/protocol/token.ts';
import { createGrpcClient } from '../../../libs/rpc/grpc-client.ts';
import { readOrCreateKey, swarmKeyFile } from '../../../libs/sdk/keys.ts';
import type { Assignment, Outcome } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import {
  PoolSessionServiceService,
  type SessionAnswer,
  type SessionCall,
  type SessionOpen,
  type SessionRequest,
  type SessionResponse,
} from '../../../libs/wire/hivebus/pool/v1/session.ts';
import { endingOf, type Work } from '../work.ts';

/**
 * As `worker.ts`, by a session alone: what a program has to do that knows nothing but the contracts, as
 * examples/python-agent does it. When its stream breaks it opens another at the next address.
 */

type Request = Omit<SessionCall, 'number' | 'traceparent'>;
type Held = Pick<Assignment, 'task' | 'attempt' | 'instance'>;

const RETRY_MS = 100;
/** After these another stream would end the same way. */
const FINAL = ['INVALID_ARGUMENT', 'PERMISSION_DENIED', 'ABORTED', 'FAILED_PRECONDITION', 'UNIMPLEMENTED'];

class SessionWorker {
  readonly #addresses: readonly string[];
  readonly #token: () => string;
  readonly #open: SessionOpen;
  readonly #unanswered = new Map<number, { call: SessionCall; settle: (answer: SessionAnswer) => void }>();
  /** Attempts that go on here, by task and number. */
  readonly #attempts = new Map<string, { confirmed: boolean; superseded: boolean }>();
  #outgoing: Partial<SessionRequest>[] = [];
  #wake: (() => void) | undefined;
  #number = 0;

  constructor(addresses: readonly string[], token: () => string, open: SessionOpen) {
    this.#addresses = addresses;
    this.#token = token;
    this.#open = open;
  }

  /** Rejects with what is final. */
  async run(): Promise<void> {
    for (let turn = 0; ; turn++) {
      const error = await this.#stream(this.#addresses[turn % this.#addresses.length] ?? '');
      if (FINAL.includes(error.code)) throw error;
      console.log(`the session broke: ${error.code}: ${error.message}`);
      await sleep(RETRY_MS * Math.random());
    }
  }

  /** One stream; what ended it. */
  async #stream(address: string): Promise<HiveError> {
    const over = new AbortController();
    await using client = createGrpcClient(address, PoolSessionServiceService, { token: this.#token });
    try {
      for await (const message of client.session(this.#requests(over.signal))) this.#take(message, over.signal);
      return new HiveError('UNAVAILABLE', `${address} ended the session`);
    } catch (error) {
      return HiveError.from(error);
    } finally {
      over.abort();
      this.#wake?.();
    }
  }

  /** Opens, repeats what was not answered, then sends what comes. */
  async *#requests(over: AbortSignal): AsyncGenerator<Partial<SessionRequest>> {
    this.#outgoing = [...this.#unanswered.values()].map(({ call }) => ({ calls: [call] }));
    yield { open: this.#open };
    while (!over.aborted) {
      const next = this.#outgoing.shift();
      if (next) yield next;
      else
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
    }
  }

  #send(message: Partial<SessionRequest>): void {
    this.#outgoing.push(message);
    this.#wake?.();
  }

  #call(request: Request): Promise<SessionAnswer> {
    const call = { number: String(++this.#number), traceparent: '', ...request };
    return new Promise((settle) => {
      this.#unanswered.set(this.#number, { call, settle });
      this.#send({ calls: [call] });
    });
  }

  #take({ opened, inventory, answers, assignments }: SessionResponse, over: AbortSignal): void {
    if (opened) {
      console.log('is ready');
      void this.#beat(opened.heartbeatMs, over);
    }
    for (const answer of answers) this.#answered(answer);
    if (inventory) {
      const held = new Set(inventory.attempts.map(keyOf));
      for (const [key, attempt] of this.#attempts) attempt.superseded ||= attempt.confirmed && !held.has(key);
    }
    for (const assignment of assignments) {
      const known = this.#attempts.get(keyOf(assignment));
      if (known && assignment.cancel) known.superseded = true;
      if (!known) void this.#work(assignment);
    }
  }

  #answered(answer: SessionAnswer): void {
    const waiting = this.#unanswered.get(Number(answer.number));
    if (!waiting) return;
    if (answer.refusal?.retryable) {
      systemClock.after(Math.max(RETRY_MS, answer.refusal.retryAfterMs), () => this.#send({ calls: [waiting.call] }));
      return;
    }
    this.#unanswered.delete(Number(answer.number));
    waiting.settle(answer);
  }

  async #beat(everyMs: number, over: AbortSignal): Promise<void> {
    while (!over.aborted) {
      this.#send({ heartbeat: { busy: this.#attempts.size, progress: [] }, token: this.#token() });
      await sleep(everyMs, undefined, { signal: over }).catch(() => {});
    }
  }

  /** Confirms an attempt, works, and reports it, unless it became another's meanwhile. */
  async #work({ task, attempt, instance, spec, cancel }: Assignment): Promise<void> {
    const held = { task, attempt, instance };
    const state = { confirmed: false, superseded: false };
    this.#attempts.set(keyOf(held), state);
    const { confirmAssignment: confirmed } = await this.#call({ confirmAssignment: { ...held, logKey: '' } });
    state.confirmed = confirmed !== undefined;
    if (confirmed && (cancel || confirmed.cancel)) await this.#report(held, 'OUTCOME_CANCELLED');
    else if (confirmed) {
      const work = spec?.payload as Work;
      await sleep(work.ms);
      const { outcome, reason, result } = endingOf(work, attempt);
      if (!state.superseded) await this.#report(held, outcome, reason, result);
      if (work.how === 'twice') await this.#report(held, outcome, reason, { ...result, said: 'last' });
    }
    this.#attempts.delete(keyOf(held));
  }

  #report(held: Held, outcome: Outcome, reason = '', result?: object): Promise<SessionAnswer> {
    return this.#call({ reportTask: { ...held, outcome, reason, result } });
  }
}

const keyOf = ({ task, attempt }: { task: string; attempt: number }): string => `${task} ${attempt}`;

const { addresses, home, swarm, type, name, slots } = parseArgs({
  options: {
    addresses: { type: 'string', default: '' },
    home: { type: 'string', default: '' },
    swarm: { type: 'string', default: '' },
    type: { type: 'string', default: '' },
    name: { type: 'string', default: '' },
    slots: { type: 'string', default: '1' },
  },
}).values;
const key = await readOrCreateKey(swarmKeyFile(home, 'main', swarm));
const agent = {
  ...{ swarm, name, type, slots: Number(slots), instance: randomId(), capabilities: [], labels: {}, region: '' },
  ...{ allowScripts: false, priority: 0, specialisations: [], cost: 0, migration: '' },
};
const token = tokenSource(key, { kind: 'agent', swarm, name }, 'main', systemClock.now);
const open: SessionOpen = { client: `e2e-${randomId()}`, window: 0, logSeed: '', agent };
await new SessionWorker(addresses.split(','), token, open).run();
