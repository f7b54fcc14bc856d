import { systemClock } from '../../libs/kernel/clock.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import { type Subject, tokenSource } from '../../libs/protocol/token.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { type GrpcServer, type GrpcServerOptions, serveGrpc } from '../../libs/rpc/grpc-server.ts';
import { readOrCreateKey, swarmKeyFile } from '../../libs/sdk/keys.ts';
import type { Swarm } from '../../libs/sdk/swarm.ts';
import type { Closing } from '../../libs/service/closing.ts';

import type { Service } from '../../libs/service/run-service.ts';
import { until } from '../../libs/testkit/until.ts';
import type { TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import {
  PoolSessionServiceService,
  type SessionAnswer,
  type SessionCall,
  type SessionRequest,
  type SessionResponse,
} from '../../libs/wire/hivebus/pool/v1/session.ts';
import { home, servePool, swarm } from './pool-harness.ts';

/** Sessions message by message, as a program in another language holds them. */

export async function serveSessions(
  closing: Closing,
  { binding, streams = [], authenticate }: Service,
  options: Partial<GrpcServerOptions> = {},
): Promise<GrpcServer> {
  return closing.use(await serveGrpc({ bindings: [binding, ...streams], authenticate, port: 0, ...options }));
}

export async function tokenOf(subject: Exclude<Subject, { kind: 'operator' }>): Promise<() => string> {
  const key = await readOrCreateKey(swarmKeyFile(home, 'main', subject.swarm));
  return tokenSource(key, subject, 'main', systemClock.now);
}

const BEAT_MS = 100;

/** A session that keeps what it was sent. */
export class RawSession implements AsyncDisposable {
  readonly received: SessionResponse[] = [];
  /** What it ended with; undefined = it is open; null = OK. */
  ended: HiveError | null | undefined;
  readonly #client: ReturnType<typeof clientOf>;
  readonly #queue: Partial<SessionRequest>[] = [];
  #wake: (() => void) | undefined;
  #closed = false;

  constructor(address: string, token: () => string) {
    this.#client = clientOf(address, token);
    void this.#read();
  }

  send(...messages: Partial<SessionRequest>[]): this {
    this.#queue.push(...messages);
    this.#wake?.();
    return this;
  }

  /** Sends heartbeats until the session is over. */
  beats(): this {
    this.send({ heartbeat: { busy: 0, progress: [] } });
    if (this.ended === undefined && !this.#closed) systemClock.after(BEAT_MS, () => this.beats());
    return this;
  }

  /** Calls under numbers of their own, in one message. */
  call(from: number, ...calls: Partial<SessionCall>[]): this {
    return this.send({ calls: calls.map((call, i) => ({ number: String(from + i), traceparent: '', ...call })) });
  }

  /** The client has no more to say. */
  close(): this {
    this.#closed = true;
    this.#wake?.();
    return this;
  }

  get answers(): readonly SessionAnswer[] {
    return this.received.flatMap(({ answers }) => answers);
  }

  answer(number: number): Promise<SessionAnswer> {
    return until(() => this.answers.find((answer) => answer.number === String(number)));
  }

  /** Resolves with what it ended with. */
  async end(): Promise<HiveError | null> {
    await until(() => this.ended !== undefined);
    return this.ended as HiveError | null;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.close();
    await this.#client[Symbol.asyncDispose]();
  }

  async #read(): Promise<void> {
    try {
      for await (const message of this.#client.session(this.#requests())) this.received.push(message);
      this.ended = null;
    } catch (error) {
      this.ended = error as HiveError;
    }
  }

  async *#requests(): AsyncGenerator<Partial<SessionRequest>> {
    for (;;) {
      for (let next = this.#queue.shift(); next; next = this.#queue.shift()) yield next;
      if (this.#closed) return;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }
}

const clientOf = (address: string, token: () => string) =>
  createGrpcClient(address, PoolSessionServiceService, { token });

interface OpeningAgent {
  readonly swarm: string;
  readonly name: string;
  readonly instance?: string;
  readonly slots?: number;
  readonly migration?: string;
}

/** What opens a session; `agent` makes it that of an agent. */
export const opening = (agent?: OpeningAgent, window = 0) => ({
  open: {
    ...{ client: `c-${randomId(12)}`, window, logSeed: '' },
    ...(agent && { agent: { ...REGISTRATION, instance: randomId(), ...agent } }),
  },
});

const REGISTRATION = {
  ...{ type: 'lint', capabilities: [], slots: 1, allowScripts: false, region: '', priority: 0, labels: {} },
  ...{ specialisations: [], cost: 0, migration: '' },
};

export const WISH = {
  ...{
    swarm: '',
    type: '',
    capabilities: [],
    termMs: 0,
    lender: '',
    selector: undefined,
    waitMs: 0,
    priority: 0,
    id: '',
  },
};

export const submission = (spec: { swarm: string; type: string }) => ({
  ...{ id: '', idempotent: false, dryRun: false },
  spec: {
    ...{ capabilities: [], script: '', timeoutMs: 0, maxAttempts: 0, priority: 0, labels: {}, title: '', ...spec },
  },
});

/** A swarm of its own with a replica that serves sessions; `open` begins one there, as its agent `py` unless told otherwise. */
export async function setUp(closing: Closing) {
  const code = await swarm(closing);
  const server = await serveSessions(closing, await servePool(closing));
  const agentToken = await tokenOf({ kind: 'agent', swarm: code.name, name: 'py' });
  const open = (token = agentToken) => closing.use(new RawSession(server.address, token));
  return { code, server, open, token: await tokenOf({ kind: 'swarm', swarm: code.name }) };
}

/** An agent by a session that has confirmed a task and works on it. */
export async function working(code: Swarm, open: () => RawSession, beats = true, spec: Partial<TaskSpec> = {}) {
  const opened = opening({ swarm: code.name, name: 'py' });
  const session = open().send(opened);
  if (beats) session.beats();
  const { id } = await code.submitTask({ type: 'lint', ...spec });
  await until(() => session.received.some(({ assignments }) => assignments.length > 0));
  const attempt = { task: id, attempt: 1, instance: opened.open.agent?.instance ?? '' };
  session.call(1, { confirmAssignment: { ...attempt, logKey: '' } });
  await session.answer(1);
  return { session, id, attempt, opened };
}
