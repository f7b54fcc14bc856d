import { randomId } from '../../libs/kernel/ids.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { createSwarm, type Swarm } from '../../libs/sdk/swarm.ts';
import { ENDED, followTasks } from '../../libs/sdk/wait.ts';
import { Closing } from '../../libs/service/closing.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { startBullMq } from './bullmq.ts';
import { startChild } from './children.ts';
import { inTurns, measure, ms, perSecond, type Row, times, WARM_UP } from './harness.ts';
import { setStage } from './stage.ts';

const SWARM = 'tasks';
const TYPE = 'worker';
const IN_FLIGHT = 64;
const LEAST_GAIN = 3;

/**
 * Tasks from submitted to succeeded, as their submitter sees it: assigned, confirmed by their agent, run (they do
 * nothing), reported; what is submitted, confirmed or reported in one tick goes in one call. Registry, pool and agent have
 * a process each, the submitter is this one. The peer is BullMQ, whose worker has a process of its own, too: from adding a
 * job until the event that it is completed.
 */
export async function taskRows(): Promise<Row[]> {
  return [...(await rowsOf(false)), ...(await rowsOf(true))];
}

async function rowsOf(syncAlways: boolean): Promise<Row[]> {
  await using closing = new Closing();
  const stage = closing.use(await setStage({ syncAlways }));
  const { nats, home } = stage;
  await stage.start('registry').says('is serving');
  await stage.start('resource-pool').says('is serving');
  const hive = closing.use(await connect({ servers: nats.url, home, env: {} }));
  const swarm = closing.use(await createSwarm({ hive, name: SWARM }));
  const agent = ['--servers', nats.url, '--home', home, '--swarm', SWARM, '--type', TYPE, '--slots', String(IN_FLIGHT)];
  closing.use(await startChild('task-agent', agent));
  const bullmq = closing.use(await startBullMq(syncAlways ? 'always' : 'everysec', IN_FLIGHT));
  const run = lifecycle(swarm, closing);
  const peer = () => bullmq.addToDone();
  for (const once of [run, peer]) await measure(IN_FLIGHT, WARM_UP, once);
  const rows: Row[] = [];
  for (const [inFlight, count] of [[1, 300] as const, [IN_FLIGHT, 4000] as const]) {
    const rates = await inTurns(5, {
      bullmq: () => measure(inFlight, count, peer),
      hivebus: () => measure(inFlight, count, run),
    });
    const what = `a task from submitted to succeeded, ${syncAlways ? `synced (${nats.syncs})` : 'not synced'}`;
    const isRate = inFlight > 1;
    const figure = isRate ? 'perSecond' : 'p50Ms';
    const text = isRate ? perSecond : ms;
    const ratio = rates.ratio('hivebus', 'bullmq', figure);
    rows.push({
      what: isRate ? `${what}, ${inFlight} in flight` : `${what}, 1 in flight, p50`,
      floor: `${bullmq.settings} ${text(rates.median('bullmq', figure))}`,
      measured: text(rates.median('hivebus', figure)),
      ratio: times(ratio),
      target: isRate ? `at least ${LEAST_GAIN}x` : '',
      ok: isRate ? ratio >= LEAST_GAIN : undefined,
    });
  }
  return rows;
}

/** Submits a task and waits until it has succeeded. One watch follows all of them. */
function lifecycle(swarm: Swarm, closing: Closing): () => Promise<void> {
  const waiting = new Map<string, (task: Task) => void>();
  closing.use(followTasks(swarm.hive, { swarm: SWARM, states: [...ENDED] }, (task) => waiting.get(task.id)?.(task)));
  const prefix = randomId(6);
  let count = 0;
  return async () => {
    const id = `${prefix}-${count++}`;
    const ended = new Promise<Task>((resolve) => waiting.set(id, resolve));
    await swarm.submitSoon({ type: TYPE, payload: { file: 'main.ts' } }, id);
    const { state } = await ended;
    waiting.delete(id);
    if (state !== 'TASK_STATE_SUCCEEDED') throw new Error(`task ${id} ended as ${state}`);
  };
}
