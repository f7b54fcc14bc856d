import { setTimeout as sleep } from 'node:timers/promises';
import type { Hive } from '../../libs/sdk/hive.ts';
import { createSwarm } from '../../libs/sdk/swarm.ts';
import { followTasks, isEnded } from '../../libs/sdk/wait.ts';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import { startChild } from './children.ts';
import { median, ms, perSecond, type Rate, type Row, times } from './harness.ts';
import type { Offered, Question } from './offering.ts';
import { setStage } from './stage.ts';

const SWARM = 'greedy';
const TYPE = 'worker';
const SLOTS = 64;
/** Tasks under way for the peak. More than one figure, since what is most depends on the machine. */
const IN_FLIGHT = [64, 256];
const PEAK_TASKS = 8000;
const TIMES_TOO_MUCH = 10;
const MAX_QUEUED = 512;
const ROUNDS = 3;
const OVERLOAD_MS = 8000;
const LEAST_GOODPUT = 0.9;

/**
 * Ten times more tasks than can be done, submitted by a schedule and not when there is room, against the most that are done
 * when each is submitted after the end of another. What is too much must be refused at once, with a hint when to try again.
 *
 * Registry, pool, agent and whoever submits have a process each; tasks that have ended are counted in this one while there is
 * too much, and by the submitter while there is not.
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

  const peak = async (): Promise<number> => {
    const rates: number[] = [];
    for (const inFlight of IN_FLIGHT) {
      const rate = await submitter.ask<Rate>({ ask: 'closed', inFlight, count: PEAK_TASKS } satisfies Question);
      rates.push(rate.perSecond);
    }
    return Math.max(...rates);
  };
  const flood = async (most: number): Promise<Round> => {
    await using counter = await countEnded(operator);
    const offer: Question = { ask: 'open', perSecond: most * TIMES_TOO_MUCH, forMs: OVERLOAD_MS };
    const [offered, goodput] = await Promise.all([submitter.ask<Offered>(offer), counter.perSecond(OVERLOAD_MS)]);
    return { peak: most, goodput, offered };
  };
  await peak();
  const rounds: Round[] = [];
  for (let round = 0; round < ROUNDS; round++) rounds.push(await flood(await peak()));
  return rowsOf(rounds);
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

function rowsOf(rounds: readonly Round[]): Row[] {
  const middle = (of: (round: Round) => number) => median(rounds.map(of));
  const share = middle(({ goodput, peak }) => goodput / peak);
  const others = rounds.flatMap(({ offered }) => Object.entries(offered.others));
  const what = `${TIMES_TOO_MUCH} times more tasks than can be done, not synced`;
  return [
    {
      what: `${what}: done all the same (${perSecond(middle(({ offered }) => offered.perSecond))} offered)`,
      floor: `peak ${perSecond(middle(({ peak }) => peak))}`,
      measured: perSecond(middle(({ goodput }) => goodput)),
      ratio: times(share),
      target: `at least ${LEAST_GOODPUT}x`,
      ok: share >= LEAST_GOODPUT,
    },
    {
      what: `${what}: refused with a hint when to try again`,
      floor: '',
      measured:
        `p50 ${ms(middle(({ offered }) => offered.refused.p50Ms))}, p99 ${ms(middle(({ offered }) => offered.refused.p99Ms))}; ` +
        `ended otherwise: ${others.map(([code, count]) => `${count} ${code}`).join(', ') || 'none'}`,
      ratio: '',
      target: 'all that is too much',
      ok: others.length === 0,
    },
  ];
}
