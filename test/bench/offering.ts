import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { randomId } from '../../libs/kernel/ids.ts';
import { tokenSource } from '../../libs/protocol/token.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { readOrCreateKey, swarmKeyFile } from '../../libs/sdk/keys.ts';
import { createSwarm } from '../../libs/sdk/swarm.ts';
import { followTasks, isEnded } from '../../libs/sdk/wait.ts';
import type { SubmitTaskRequest, TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { answer } from './children.ts';
import { measure, type Rate, rateOf } from './harness.ts';
import { Offers } from './offers.ts';

/** What a process that submits tasks of one swarm is asked for. */
export type Question =
  /** Submits `count` tasks, each when another has ended, so that `inFlight` are under way. Answered by a Rate. */
  | { readonly ask: 'closed'; readonly inFlight: number; readonly count: number }
  /** Submits so many a second, whatever becomes of them. Answered by an Offered, when all of them are answered. */
  | { readonly ask: 'open'; readonly perSecond: number; readonly forMs: number };

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

/** By a schedule, so that slow answers do not make it offer less. */
async function open({ perSecond, forMs }: { perSecond: number; forMs: number }): Promise<Offered> {
  const accepted: number[] = [];
  const refused: number[] = [];
  const others: Record<string, number> = {};
  const key = await readOrCreateKey(swarmKeyFile(home, hive.federation, name));
  const token = tokenSource(key, { kind: 'swarm', swarm: name }, hive.federation, Date.now);
  const offers = new Offers(hive.nc, token, (error, afterMs) => {
    if (!error) accepted.push(afterMs);
    else if (error.code === 'RESOURCE_EXHAUSTED' && error.retryAfterMs !== undefined) refused.push(afterMs);
    else others[error.code] = (others[error.code] ?? 0) + 1;
  });
  const one = (): SubmitTaskRequest => ({ spec: SPEC, id: newId(), idempotent: false, dryRun: false });
  const before = submitted;
  const beganAt = performance.now();
  for (let elapsed = 0; elapsed < forMs; elapsed = performance.now() - beganAt) {
    const due = Math.floor((perSecond * elapsed) / 1000) - (submitted - before);
    offers.submit(Array.from({ length: due }, one));
    await sleep(EVERY_MS);
  }
  const elapsedMs = performance.now() - beganAt;
  const offered = submitted - before;
  await offers.answered();
  const rate = (latencies: number[]) => rateOf(Float64Array.from(latencies), elapsedMs);
  return { perSecond: (offered / elapsedMs) * 1000, accepted: rate(accepted), refused: rate(refused), others };
}

answer(
  async (question: Question) => (question.ask === 'closed' ? closed(question) : open(question)),
  async () => {
    await swarm.close();
    await hive[Symbol.asyncDispose]();
  },
);
