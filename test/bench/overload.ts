import { setTimeout as sleep } from 'node:timers/promises';
import type { Hive } from '../../libs/sdk/hive.ts';
import { createSwarm } from '../../libs/sdk/swarm.ts';
import { followTasks, isEnded } from '../../libs/sdk/wait.ts';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import { type Child, startChild } from './children.ts';
import { median, ms, perSecond, type Rate, type Row, times } from './harness.ts';
import type { Offered, Question } from './offering.ts';
import { setStage } from './stage.ts';

const SWARM = 'greedy';
const TYPE = 'worker';
const SLOTS = 256;
/** Tasks under way for the peak: with whichever most are done on this machine. */
const IN_FLIGHT = [64, 256, 512];
const PEAK_TASKS = 5000;
const TIMES_TOO_MUCH = 10;
const MAX_QUEUED = 512;
const ROUNDS = 5;
const OVERLOAD_MS = 5000;
/** Until the queue is full; from then on it is counted. */
const FILLING_MS = 1000;
const LEAST_GOODPUT = 0.9;

/**
 * Ten times more tasks than can be done, submitted by a schedule and not when there is room, against the most that are done
 * when each is submitted after the end of another. What is too much must be refused at once, with a hint when to try again.
 *
 * Registry, pool, agent and whoever submits have a process each; tasks that have ended are counted in this one while there is
 * too much, and by the submitter while there is not. In turns, since all of them share the machine with whatever else runs.
 */
export async function overloadRows(): Promise<Row[]> {
  await using closing = new Closing();
  const stage = closing.use(await setStage());
  const { nats, home } = stage;
  await stage.start('registry').says('is serving');
  await stage.start('resource-pool').says('is serving');
  const operator = await stage.connect();
  closing.use(await createSwarm({ hive: operator, name: SWARM }));
  const common = ['--servers', nats.url, '--home', home, '--swarm', SWARM, '--type', TYPE];
  closing.use(await startChild('task-agent', [...common, '--slots', String(SLOTS)]));
  const submitter = closing.use(await startChild('offering', common));
  const { limits } = await operator.pool.getSwarmLimits({ swarm: SWARM });
  if (limits) await operator.pool.setSwarmLimits({ limits: { ...limits, maxQueued: MAX_QUEUED } });

  const closed = (inFlight: number) =>
    submitter.ask<Rate>({ ask: 'closed', inFlight, count: PEAK_TASKS } satisfies Question);
  const rates: Rate[] = [];
  for (const inFlight of [IN_FLIGHT[0] as number, ...IN_FLIGHT]) rates.push(await closed(inFlight));
  const [, ...warm] = rates.map((rate) => rate.perSecond);
  const best = IN_FLIGHT[warm.indexOf(Math.max(...warm))] as number;
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const peak = (await closed(best)).perSecond;
    rounds.push({ peak, ...(await flood(operator, submitter, peak * TIMES_TOO_MUCH)) });
    await until(async () => (await operator.pool.getSwarmLimits({ swarm: SWARM })).usage?.queued === 0);
  }
  return rowsOf(rounds, best);
}

async function flood(operator: Hive, submitter: Child, offeredPerSecond: number): Promise<Omit<Round, 'peak'>> {
  await submitter.ask({ ask: 'prepare', perSecond: offeredPerSecond, forMs: OVERLOAD_MS } satisfies Question);
  await using counter = await countEnded(operator);
  const offer: Question = { ask: 'open' };
  const counted = sleep(FILLING_MS).then(() => counter.perSecond(OVERLOAD_MS - FILLING_MS));
  const [offered, goodput] = await Promise.all([submitter.ask<Offered>(offer), counted]);
  return { goodput, offered };
}

/** Counts tasks that end from now on. */
async function countEnded(hive: Hive): Promise<AsyncDisposable & { perSecond(forMs: number): Promise<number> }> {
  const ended = new Set<string>();
  let isSynced = false;
  const following = followTasks(hive, { swarm: SWARM }, (task) => void (isEnded(task) && ended.add(task.id)), {
    onBack: () => {
      isSynced = true;
    },
  });
  await until(() => isSynced);
  return {
    async perSecond(forMs) {
      const before = ended.size;
      const beganAt = performance.now();
      await sleep(forMs);
      return ((ended.size - before) / (performance.now() - beganAt)) * 1000;
    },
    [Symbol.asyncDispose]: () => following[Symbol.asyncDispose](),
  };
}

interface Round {
  /** Tasks done a second: at most, and while there was too much. */
  readonly peak: number;
  readonly goodput: number;
  readonly offered: Offered;
}

function rowsOf(rounds: readonly Round[], inFlight: number): Row[] {
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  const share = middle(({ goodput, peak }) => goodput / peak);
  const offered = middle((round) => round.offered.perSecond);
  const isOffered = middle((round) => round.offered.perSecond / round.peak) >= TIMES_TOO_MUCH * 0.95;
  const others = rounds.flatMap((round) => Object.entries(round.offered.others));
  const [p50, p99] = (['p50Ms', 'p99Ms'] as const).map((of) => ms(middle((round) => round.offered.refused[of])));
  const what = `${TIMES_TOO_MUCH} times more tasks than can be done, offered by a process of its own, not synced`;
  return [
    {
      what: `${what}: done all the same (${perSecond(offered)} offered)`,
      floor: `peak, ${inFlight} in flight, ${perSecond(middle(({ peak }) => peak))}`,
      measured: perSecond(middle(({ goodput }) => goodput)),
      ratio: times(share),
      target: `at least ${LEAST_GOODPUT}x`,
      ok: share >= LEAST_GOODPUT && isOffered,
    },
    {
      what: `${what}: refused at once with a hint when to try again`,
      floor: '',
      measured: `p50 ${p50}, p99 ${p99}; ended otherwise: ${others.map(([code, count]) => `${count} ${code}`).join(', ') || 'none'}`,
      ratio: '',
      target: 'all that is too much',
      ok: others.length === 0,
    },
  ];
}
