import { randomId } from '../../libs/kernel/ids.ts';
import { createAgent } from '../../libs/sdk/agent.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { createSwarm, type Swarm } from '../../libs/sdk/swarm.ts';
import { followTasks, isEnded } from '../../libs/sdk/wait.ts';
import { Closing } from '../../libs/service/closing.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { measure, ms, perSecond, type Row } from './harness.ts';
import { setStage } from './stage.ts';

const SWARM = 'tasks';
const TYPE = 'worker';
const AGENTS = 4;
const IN_FLIGHT = 64;

/**
 * Tasks from submitted to succeeded, as their submitter sees it: assigned, confirmed by their agent, run (they do
 * nothing), reported. Registry and pool in a process each, submitter and agents in this one, on connections of their own.
 */
export async function taskRows(): Promise<Row[]> {
  await using stage = await setStage();
  await stage.start('registry').says('is serving');
  await stage.start('resource-pool').says('is serving');
  await using closing = new Closing();
  const open = async () => closing.use(await connect({ servers: stage.nats.url, home: stage.home, env: {} }));
  const swarm = closing.use(await createSwarm({ hive: await open(), name: SWARM }));
  for (let i = 0; i < AGENTS; i++) {
    const slots = IN_FLIGHT / AGENTS;
    const agent = { swarm: SWARM, name: `a${i}`, type: TYPE, slots, handler: async () => ({}) };
    closing.use(await createAgent({ hive: await open(), ...agent }));
  }
  const run = lifecycle(swarm, closing);
  await measure(IN_FLIGHT, 2000, run);
  const one = await measure(1, 500, run);
  const many = await measure(IN_FLIGHT, 10_000, run);
  return [
    row('1 in flight, p50', ms(one.p50Ms)),
    row(`${IN_FLIGHT} in flight`, `${perSecond(many.perSecond)} (p50 ${ms(many.p50Ms)})`),
  ];
}

const row = (how: string, measured: string): Row => ({
  what: `a task from submitted to succeeded, not synced, ${how}`,
  floor: '',
  measured,
  ratio: '',
  target: '',
  ok: undefined,
});

/** Submits a task and waits until it has succeeded. One watch follows all of them. */
function lifecycle(swarm: Swarm, closing: Closing): () => Promise<void> {
  const waiting = new Map<string, (task: Task) => void>();
  closing.use(
    followTasks(swarm.hive, { swarm: SWARM }, (task) => {
      if (isEnded(task)) waiting.get(task.id)?.(task);
    }),
  );
  const prefix = randomId(6);
  let count = 0;
  return async () => {
    const id = `${prefix}-${count++}`;
    const ended = new Promise<Task>((resolve) => waiting.set(id, resolve));
    await swarm.submitTask({ type: TYPE, payload: { file: 'main.ts' } }, id);
    const { state } = await ended;
    waiting.delete(id);
    if (state !== 'TASK_STATE_SUCCEEDED') throw new Error(`task ${id} ended as ${state}`);
  };
}
