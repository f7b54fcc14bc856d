import { setTimeout as sleep } from 'node:timers/promises';
import { HiveError } from '../../libs/kernel/errors.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import { createSwarm, type Swarm } from '../../libs/sdk/swarm.ts';
import { followTasks, isEnded } from '../../libs/sdk/wait.ts';
import { Closing } from '../../libs/service/closing.ts';
import { startChild } from './children.ts';
import { measure, ms, perSecond, type Rate, type Row, rateOf, times } from './harness.ts';
import { setStage } from './stage.ts';

const SWARM = 'greedy';
const TYPE = 'worker';
const IN_FLIGHT = 64;
const TIMES_TOO_MUCH = 10;
const MAX_QUEUED = 512;
const OVERLOAD_MS = 10_000;
const EVERY_MS = 5;
const LEAST_GOODPUT = 0.9;

/**
 * Ten times more tasks than can be done, submitted without waiting for answers, against the most that were done when each
 * submission waited for the one before to end. What is too much must be refused, with a hint when to try again.
 */
export async function overloadRows(): Promise<Row[]> {
  await using closing = new Closing();
  const stage = closing.use(await setStage());
  const { nats, home } = stage;
  await stage.start('registry').says('is serving');
  await stage.start('resource-pool').says('is serving');
  const operator = await stage.connect();
  const swarm = closing.use(await createSwarm({ hive: operator, name: SWARM }));
  const agent = ['--servers', nats.url, '--home', home, '--swarm', SWARM, '--type', TYPE, '--slots', String(IN_FLIGHT)];
  closing.use(await startChild('task-agent', agent));
  const { limits } = await operator.pool.getSwarmLimits({ swarm: SWARM });
  if (limits) await operator.pool.setSwarmLimits({ limits: { ...limits, maxQueued: MAX_QUEUED } });
  const tasks = new Tasks(swarm, closing);
  await measure(IN_FLIGHT, 2000, () => tasks.run());
  const peak = await measure(IN_FLIGHT, 5000, () => tasks.run());
  const { goodput, offered, refused, others } = await flood(tasks, peak.perSecond * TIMES_TOO_MUCH);
  const share = goodput / peak.perSecond;
  const what = `${TIMES_TOO_MUCH} times more tasks than can be done, not synced`;
  return [
    {
      what: `${what}: done all the same (${perSecond(offered)} offered)`,
      floor: `peak ${perSecond(peak.perSecond)}`,
      measured: perSecond(goodput),
      ratio: times(share),
      target: `at least ${LEAST_GOODPUT}x`,
      ok: share >= LEAST_GOODPUT,
    },
    {
      what: `${what}: refused with a hint when to try again`,
      floor: '',
      measured: `p50 ${ms(refused.p50Ms)}, p99 ${ms(refused.p99Ms)}; ended otherwise: ${others}`,
      ratio: '',
      target: 'all that is too much',
      ok: others === 0,
    },
  ];
}

interface Flooded {
  /** Tasks a second: done, and offered. */
  readonly goodput: number;
  readonly offered: number;
  readonly refused: Rate;
  /** Submissions that met another error, or a refusal without a hint. */
  readonly others: number;
}

async function flood(tasks: Tasks, offeredPerSecond: number): Promise<Flooded> {
  const refusals: number[] = [];
  let offered = 0;
  let others = 0;
  const submit = async () => {
    const beganAt = performance.now();
    try {
      await tasks.submit();
    } catch (cause) {
      const error = HiveError.from(cause);
      if (error.code === 'RESOURCE_EXHAUSTED' && error.retryAfterMs !== undefined) {
        refusals.push(performance.now() - beganAt);
      } else others++;
    }
  };
  const open = new Set<Promise<void>>();
  const doneBefore = tasks.done;
  const beganAt = performance.now();
  for (let elapsed = 0; elapsed < OVERLOAD_MS; elapsed = performance.now() - beganAt) {
    for (; offered < (offeredPerSecond * elapsed) / 1000; offered++) {
      const one = submit().finally(() => open.delete(one));
      open.add(one);
    }
    await sleep(EVERY_MS);
  }
  const seconds = (performance.now() - beganAt) / 1000;
  const goodput = (tasks.done - doneBefore) / seconds;
  await Promise.all(open);
  return { goodput, offered: offered / seconds, refused: rateOf(Float64Array.from(refusals), OVERLOAD_MS), others };
}

/** Tasks that do nothing, and how many have ended. */
class Tasks {
  done = 0;
  readonly #swarm: Swarm;
  readonly #prefix = randomId(6);
  readonly #waiting = new Map<string, () => void>();
  #count = 0;

  constructor(swarm: Swarm, closing: Closing) {
    this.#swarm = swarm;
    closing.use(
      followTasks(swarm.hive, { swarm: SWARM }, (task) => {
        if (!isEnded(task)) return;
        this.done++;
        this.#waiting.get(task.id)?.();
      }),
    );
  }

  submit(id = `${this.#prefix}-${this.#count++}`): Promise<unknown> {
    return this.#swarm.submitTask({ type: TYPE, payload: { file: 'main.ts' } }, id);
  }

  /** Submits one and waits for its end. */
  async run(): Promise<void> {
    const id = `${this.#prefix}-${this.#count++}`;
    const ended = new Promise<void>((resolve) => this.#waiting.set(id, resolve));
    await this.submit(id);
    await ended;
    this.#waiting.delete(id);
  }
}
