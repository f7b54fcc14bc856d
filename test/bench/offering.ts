import { parseArgs } from 'node:util';
import { HiveError } from '../../libs/kernel/errors.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { createSwarm } from '../../libs/sdk/swarm.ts';
import { followTasks, isEnded } from '../../libs/sdk/wait.ts';
import { answer } from './children.ts';
import { measure, type Rate, rateOf } from './harness.ts';

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
const submit = (id: string) => swarm.submitTask({ type, payload: { file: 'main.ts' } }, id);

async function closed({ inFlight, count }: { inFlight: number; count: number }): Promise<Rate> {
  const waiting = new Map<string, () => void>();
  await using _ = followTasks(swarm.hive, { swarm: name }, (task) => {
    if (isEnded(task)) waiting.get(task.id)?.();
  });
  return await measure(inFlight, count, async () => {
    const id = newId();
    const ended = new Promise<void>((resolve) => waiting.set(id, resolve));
    await submit(id);
    await ended;
    waiting.delete(id);
  });
}

/** By a schedule, so that slow answers do not make it offer less. */
async function open({ perSecond, forMs }: { perSecond: number; forMs: number }): Promise<Offered> {
  const accepted: number[] = [];
  const refused: number[] = [];
  const others: Record<string, number> = {};
  const offer = async () => {
    const beganAt = performance.now();
    try {
      await submit(newId());
      accepted.push(performance.now() - beganAt);
    } catch (cause) {
      const { code, retryAfterMs } = HiveError.from(cause);
      if (code === 'RESOURCE_EXHAUSTED' && retryAfterMs !== undefined) refused.push(performance.now() - beganAt);
      else others[code] = (others[code] ?? 0) + 1;
    }
  };
  const before = submitted;
  const all: Promise<void>[] = [];
  const beganAt = performance.now();
  const elapsedMs = await new Promise<number>((resolve) => {
    const timer = setInterval(() => {
      const elapsed = Math.min(performance.now() - beganAt, forMs);
      while (submitted - before < (perSecond * elapsed) / 1000) all.push(offer());
      if (elapsed < forMs) return;
      clearInterval(timer);
      resolve(performance.now() - beganAt);
    }, EVERY_MS);
  });
  const offered = submitted - before;
  await Promise.all(all);
  const rate = (latencies: number[]) => rateOf(Float64Array.from(latencies), elapsedMs);
  return {
    perSecond: (offered / elapsedMs) * 1000,
    accepted: rate(accepted),
    refused: rate(refused),
    others,
  };
}

answer(
  async (question: Question) => (question.ask === 'closed' ? closed(question) : open(question)),
  async () => {
    await swarm.close();
    await hive[Symbol.asyncDispose]();
  },
);
