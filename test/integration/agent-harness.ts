import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInbox, type Msg } from '@nats-io/nats-core';
import { afterAll, beforeAll, onTestFinished } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { specDigest } from '../../libs/protocol/spec-digest.ts';
import { assignmentSubject } from '../../libs/protocol/subjects.ts';
import { bind, type Methods } from '../../libs/rpc/binding.ts';
import { serveBus } from '../../libs/rpc/bus-server.ts';
import { createAgent } from '../../libs/sdk/agent.ts';
import type { Agent, AgentOptions } from '../../libs/sdk/agent-options.ts';
import { connect } from '../../libs/sdk/connect.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import {
  type Assignment,
  type ReportTaskRequest,
  ResourcePoolServiceService,
  type TaskSpec,
} from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** The agent runtime against a pool that says whatever the test wants: every order and every loss can be had. */

const home = mkdtempSync(join(tmpdir(), 'hivebus-agent-'));
export let nats: NatsServer;
export let hive: Hive;

/** Once for each test file. */
export function openBus(): void {
  beforeAll(async () => {
    nats = await startNatsServer();
    hive = await connect({ servers: nats.url, home });
  });
  afterAll(async () => {
    await hive.close();
    await nats.stop();
    rmSync(home, { recursive: true });
  });
}

export interface FakePool {
  readonly registered: string[];
  readonly confirmed: string[];
  readonly reports: ReportTaskRequest[];
  readonly gone: string[];
  assignments: Assignment[];
  /** Thrown by the method of that name as long as it is there. */
  readonly refuse: Partial<Record<'confirmAssignment' | 'reportTask' | 'listAssignments', HiveError>>;
  cancelOnConfirm: boolean;
  /** What it says that it signs assignments with. */
  deliveryKey: string | undefined;
  /** How often it wants to hear from agents. */
  heartbeatMs: number;
  /** What the pool has of its tasks, by id; of others it has what it is asked about. */
  readonly specs: Record<string, TaskSpec>;
}

/** A request that comes again gets the first answer, as from any service: on a busy machine clients ask again. */
function once(methods: Methods): Methods {
  const answers = new Map<string, unknown>();
  const wrapped = Object.entries(methods).map(([name, method]): [string, Methods[string]] => {
    const answerOnce = async (input: never, call: Call) => {
      const id = `${call.request?.client}:${call.request?.counter}`;
      if (!answers.has(id)) answers.set(id, await method(input, call));
      return answers.get(id);
    };
    return [name, answerOnce];
  });
  return Object.fromEntries(wrapped);
}

async function fakePool(federation: string): Promise<FakePool> {
  const pool: FakePool = {
    ...{ registered: [], confirmed: [], reports: [], gone: [], assignments: [], refuse: {}, cancelOnConfirm: false },
    ...{ deliveryKey: undefined, heartbeatMs: 50, specs: {} },
  };
  const refused = (method: keyof FakePool['refuse']) => {
    const error = pool.refuse[method];
    if (error) throw error;
  };
  const methods: Methods = {
    registerAgent: async ({ instance }: { instance: string }) => {
      pool.registered.push(instance);
      const { heartbeatMs, deliveryKey } = pool;
      return { heartbeatMs, revision: '1', deliveryKey };
    },
    deregisterAgent: async ({ instance }: { instance: string }) => {
      pool.gone.push(instance);
      return { revision: '1' };
    },
    listAssignments: async () => {
      refused('listAssignments');
      return { assignments: pool.assignments, revision: '1', deliveryKey: pool.deliveryKey };
    },
    confirmAssignment: async ({ task, attempt }: { task: string; attempt: number }) => {
      refused('confirmAssignment');
      pool.confirmed.push(`${task}/${attempt}`);
      const spec = pool.specs[task];
      const answer = { cancel: pool.cancelOnConfirm, revision: '1', epoch: '5' };
      return { ...answer, specDigest: spec ? specDigest(spec) : '' };
    },
    getTask: async ({ id }: { id: string }) => ({ task: { id, spec: pool.specs[id] }, revision: '1' }),
    reportTask: async (report: ReportTaskRequest) => {
      refused('reportTask');
      pool.reports.push(report);
      return { state: 'TASK_STATE_SUCCEEDED', revision: '1' };
    },
  };
  const answering = once(methods);
  const apiOf = (name: string): Methods => {
    if (name === federation) return answering;
    throw new HiveError('NOT_FOUND', `federation ${name} is not known`);
  };
  const binding = { ...bind('pool', ResourcePoolServiceService, () => methods as never), apiOf };
  const server = await serveBus({
    nc: hive.nc,
    bindings: [binding],
    authenticate: () => ({ kind: 'agent', swarm: 'code', name: 'a', key: 'k' }),
    version: '0.0.0',
  });
  onTestFinished(() => server.stop());
  return pool;
}

let federations = 0;

export async function start(options: Partial<AgentOptions>, before: (pool: FakePool) => void = () => {}) {
  const federation = `f${++federations}`;
  const pool = await fakePool(federation);
  before(pool);
  const own = await connect({ servers: nats.url, home, federation });
  onTestFinished(() => own.close());
  const agent = await createAgent({
    ...{ hive: own, swarm: 'code', name: 'a', type: 'coder', handler: async () => 'done' },
    ...options,
  });
  onTestFinished(() => agent.stop());
  return { federation, pool, agent };
}

export function assignment(agent: Agent, task: string, attempt = 1, more: Partial<Assignment> = {}): Assignment {
  const spec = {
    ...{ swarm: 'code', type: 'coder', capabilities: [], script: '', timeoutMs: 60_000, maxAttempts: 3, priority: 0 },
    ...{ labels: {}, title: '', payload: { task } },
  };
  return {
    ...{ task, attempt, agent: 'code/a', instance: agent.instance, spec, cancel: false, epoch: '5' },
    ...{ traceparent: '', correlationId: 'c', hops: 0, ...more },
  };
}

const ANSWER_MS = 20_000;

/** Asks an agent by hand. */
export const ask = (subject: string, text: string): Promise<Msg> =>
  hive.nc.request(subject, text, { timeout: ANSWER_MS });

/**
 * Asks an agent, and says whether it has answered. Agents answer in order, and an empty request always: what they have not
 * answered before that one they do not answer.
 */
export async function isAnswered(subject: string, text: string): Promise<boolean> {
  let answered = false;
  const inbox = createInbox();
  const answers = hive.nc.subscribe(inbox, {
    callback: () => {
      answered = true;
    },
  });
  hive.nc.publish(subject, text, { reply: inbox });
  await ask(subject, '');
  answers.unsubscribe();
  return answered;
}

/** What the pool's leader does: asks, and takes an answer as "received". */
export const deliver = (federation: string, agent: Agent, message: Assignment): Promise<boolean> =>
  isAnswered(assignmentSubject(federation, 'code', 'a', agent.instance), JSON.stringify(message));

export const outcomes = (pool: FakePool) =>
  pool.reports.map(({ task, attempt, outcome }) => [`${task}/${attempt}`, outcome]);
