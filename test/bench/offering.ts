import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { randomId } from '../../libs/kernel/ids.ts';
import { tokenSource } from '../../libs/protocol/token.ts';
import { MAX_CALLS } from '../../libs/rpc/bundle.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { readOrCreateKey, swarmKeyFile } from '../../libs/sdk/keys.ts';
import { createSwarm } from '../../libs/sdk/swarm.ts';
import { followTasks, isEnded } from '../../libs/sdk/wait.ts';
import type { TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { answer } from './children.ts';
import { measure, type Rate, rateOf } from './harness.ts';
import { Offers, type Told } from './offers.ts';

/** What a process that submits tasks of one swarm is asked for. */
export type Question =
  /** Submits `count` tasks, each when another has ended, so that `inFlight` are under way. Answered by a Rate. */
  | { readonly ask: 'closed'; readonly inFlight: number; readonly count: number }
  /** Makes what is to be submitted. */
  | { readonly ask: 'prepare'; readonly perSecond: number; readonly forMs: number }
  /** Submits so many a second, whatever becomes of them. Answered by an Offered, when all of them are answered. */
  | { readonly ask: 'open' };

export interface Offered {
  readonly perSecond: number;
  /** Submissions that were accepted, and refused with a hint when to try again. */
  readonly accepted: Rate;
  readonly refused: Rate;
  /** Submissions that met another error, or a refusal without a hint, by code. */
  readonly others: Readonly<Record<string, number>>;
}

const EVERY_MS = 5;

const {
  servers,
  home,
  swarm: name,
  type,
} = parseArgs({
  options: {
    servers: { type: 'string', default: '' },
    home: { type: 'string', default: '' },
    swarm: { type: 'string', default: '' },
    type: { type: 'string', default: '' },
  },
}).values;
const hive = await connect({ servers, home, env: {} });
const swarm = await createSwarm({ hive, name });
const prefix = randomId(6);
let submitted = 0;
const newId = () => `${prefix}-${submitted++}`;
const payload = { file: 'main.ts' };
const SPEC: TaskSpec = {
  ...{ swarm: name, type, capabilities: [], script: '', timeoutMs: 0, maxAttempts: 0, priority: 0 },
  ...{ labels: {}, title: '', payload },
};
const SPEC_JSON = JSON.stringify(SPEC);

async function closed({ inFlight, count }: { inFlight: number; count: number }): Promise<Rate> {
  const waiting = new Map<string, () => void>();
  await using _ = followTasks(swarm.hive, { swarm: name }, (task) => {
    if (isEnded(task)) waiting.get(task.id)?.();
  });
  return await measure(inFlight, count, async () => {
    const id = newId();
    const ended = new Promise<void>((resolve) => waiting.set(id, resolve));
    await swarm.submitTask({ type, payload }, id);
    await ended;
    waiting.delete(id);
  });
}

/** What is told of offers. */
class Tally {
  readonly accepted: number[] = [];
  readonly refused: number[] = [];
  readonly others: Record<string, number> = {};

  readonly told: Told = (error, afterMs) => {
    if (!error) this.accepted.push(afterMs);
    else if (error.code === 'RESOURCE_EXHAUSTED' && error.retryAfterMs !== undefined) this.refused.push(afterMs);
    else this.others[error.code] = (this.others[error.code] ?? 0) + 1;
  };
}

interface Schedule {
  readonly tally: Tally;
  readonly offers: Offers;
  readonly messages: number;
  readonly calls: number;
  readonly everyMs: number;
}

let schedule: Schedule | undefined;

async function prepare({ perSecond, forMs }: { perSecond: number; forMs: number }): Promise<object> {
  const tally = new Tally();
  const offers = new Offers(hive.nc, tally.told);
  const calls = Math.max(1, Math.min(MAX_CALLS, Math.round((perSecond * EVERY_MS) / 1000)));
  const everyMs = (calls / perSecond) * 1000;
  const messages = Math.floor(forMs / everyMs);
  const key = await readOrCreateKey(swarmKeyFile(home, hive.federation, name));
  const token = tokenSource(key, { kind: 'swarm', swarm: name }, hive.federation, Date.now)();
  offers.make(messages, calls, token, () => `{"spec":${SPEC_JSON},"id":"${newId()}"}`);
  schedule = { tally, offers, messages, calls, everyMs };
  return {};
}

/** When it is due, so that slow answers do not make it offer less; latencies count from then. */
async function open(): Promise<Offered> {
  if (!schedule) throw new Error('nothing is prepared');
  const { tally, offers, messages, calls, everyMs } = schedule;
  const beganAt = performance.now();
  for (let sent = 0; sent < messages; await sleep(1)) {
    const due = Math.min(messages, Math.floor((performance.now() - beganAt) / everyMs));
    for (; sent < due; sent++) offers.send(beganAt + (sent + 1) * everyMs);
  }
  const elapsedMs = performance.now() - beganAt;
  await offers.answered();
  const rate = (latencies: number[]) => rateOf(Float64Array.from(latencies), elapsedMs);
  const { accepted, refused, others } = tally;
  return {
    perSecond: ((messages * calls) / elapsedMs) * 1000,
    accepted: rate(accepted),
    refused: rate(refused),
    others,
  };
}

answer(
  async (question: Question) => {
    switch (question.ask) {
      case 'closed':
        return closed(question);
      case 'prepare':
        return prepare(question);
      case 'open':
        return open();
    }
  },
  async () => {
    await swarm.close();
    await hive[Symbol.asyncDispose]();
  },
);
