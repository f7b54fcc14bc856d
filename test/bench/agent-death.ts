import { setTimeout as sleep } from 'node:timers/promises';
import { connect } from '../../libs/sdk/connect.ts';
import { createSwarm, type Swarm } from '../../libs/sdk/swarm.ts';
import { followTasks, waitForTask } from '../../libs/sdk/wait.ts';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { median, ms, type Row } from './harness.ts';
import { compiled, type Program, startNode } from './processes.ts';
import { type Stage, setStage } from './stage.ts';

const SWARM = 'mortal';
const TYPE = 'worker';
const DEATHS = 20;
const MOST_MS = 1000;
const STARVED_MS = 60_000;
const BUSY_PROCESSES = 8;
const CALM_AGENTS = 4;
const PATIENCE_MS = 60_000;

/**
 * An agent process gets SIGKILL in the middle of its task: how long until the task runs on another one, by default
 * settings. Then agents that are well, while others take all of the processor: nobody
 * may be taken for dead.
 */
export async function agentDeathRows(): Promise<Row[]> {
  await using closing = new Closing();
  const stage = closing.use(await setStage());
  await stage.start('registry').says('is serving');
  await stage.start('resource-pool').says('is serving');
  const hive = closing.use(await connect({ servers: stage.nats.url, home: stage.home, env: {} }));
  const swarm = closing.use(await createSwarm({ hive, name: SWARM }));
  const tookMs = await deaths(stage, swarm);
  const alarms = await falseAlarms(stage, swarm);
  return [
    {
      what: `SIGKILL of an agent process until its task runs on another agent, ${DEATHS} times`,
      floor: '',
      measured: `median ${ms(median(tookMs))}, worst ${ms(Math.max(...tookMs))}`,
      ratio: '',
      target: `each within ${MOST_MS} ms`,
      ok: Math.max(...tookMs) <= MOST_MS,
    },
    {
      what: `tasks taken from agents that are well, in a minute with ${BUSY_PROCESSES} processes that take all of the processor`,
      floor: '',
      measured: `${alarms} of ${CALM_AGENTS} tasks`,
      ratio: '',
      target: 'none',
      ok: alarms === 0,
    },
  ];
}

/** Two agents of one slot; whoever has the task is killed, and another takes its place for the next time. */
async function deaths(stage: Stage, swarm: Swarm): Promise<number[]> {
  await using closing = new Closing();
  const runs = new Map<string, string>();
  closing.use(
    followTasks(swarm.hive, { swarm: SWARM }, ({ id, state, attempts }) => {
      if (state === 'TASK_STATE_RUNNING') runs.set(id, attempts.at(-1)?.agent ?? '');
    }),
  );
  const agents = new Map<string, Program>();
  const tookMs: number[] = [];
  for (let i = 0; i < DEATHS; i++) {
    while (agents.size < 2) {
      const name = `a${i}-${agents.size}`;
      agents.set(`${SWARM}/${name}`, closing.use(await startAgent(stage, name, ['--hang'])));
    }
    const { id } = await swarm.submitTask({ type: TYPE, maxAttempts: DEATHS });
    const first = await until(() => runs.get(id), PATIENCE_MS);
    const killedAt = performance.now();
    agents.get(first)?.signal('SIGKILL');
    await until(() => runs.get(id) !== first, PATIENCE_MS);
    tookMs.push(performance.now() - killedAt);
    agents.delete(first);
    await swarm.hive.pool.cancelTask({ id, reason: 'enough' });
    await waitForTask(swarm.hive, id);
  }
  return tookMs;
}

/** Tasks that were taken from agents that are well, while the processor was starved. */
async function falseAlarms(stage: Stage, swarm: Swarm): Promise<number> {
  await using closing = new Closing();
  const tasks: string[] = [];
  for (let i = 0; i < CALM_AGENTS; i++) {
    closing.use(await startAgent(stage, `calm-${i}`, ['--hang']));
    tasks.push((await swarm.submitTask({ type: TYPE, maxAttempts: DEATHS })).id);
  }
  const get = async (id: string) => (await swarm.hive.pool.getTask({ id, linearizable: true })).task as Task;
  const attemptsOf = async (id: string) => (await get(id)).attempts.length;
  for (const id of tasks) await until(async () => (await get(id)).state === 'TASK_STATE_RUNNING', PATIENCE_MS);
  // An agent of before that was just ended may have been given one first.
  const before = await Promise.all(tasks.map(attemptsOf));
  for (let i = 0; i < BUSY_PROCESSES; i++) closing.use(startNode(['--eval', 'for (;;);']));
  await sleep(STARVED_MS);
  const after = await Promise.all(tasks.map(attemptsOf));
  return after.reduce((sum, attempts, i) => sum + attempts - (before[i] as number), 0);
}

async function startAgent({ nats, home }: Stage, name: string, more: readonly string[] = []): Promise<Program> {
  const program = compiled('test/bench/task-agent.js');
  const args = ['--servers', nats.url, '--home', home, '--swarm', SWARM, '--type', TYPE, '--name', name];
  const agent = startNode([program, ...args, ...more]);
  await agent.says('is ready');
  return agent;
}
