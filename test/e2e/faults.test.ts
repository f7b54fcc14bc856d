import { afterAll, beforeAll, expect, test } from 'vitest';
import { isEnded } from '../../libs/sdk/wait.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Task, TaskState } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { Federation } from './federation.ts';
import { isAlive, type Started } from './hivebus.ts';
import { isServing } from './replicas.ts';

/**
 * Faults of real processes in the middle of work. Whatever is killed, stopped or taken away: every submitted task ends
 * exactly once, no agent has more tasks than slots, nothing that was accepted is forgotten, no process is left behind.
 */

const PATIENCE_MS = 60_000;
const ALL = ['TASK_STATE_SUCCEEDED', 'TASK_STATE_FAILED', 'TASK_STATE_CANCELLED'] as const;

let federation: Federation;
const submitted: string[] = [];
beforeAll(async () => {
  federation = await Federation.start(2);
});
afterAll(async () => {
  const { playground } = federation;
  await federation[Symbol.asyncDispose]();
  await until(() => federation.processes().length === 0, PATIENCE_MS);
  expect(playground.folder).not.toBe('');
});

const get = async (id: string): Promise<Task> => {
  const { task } = await federation.settled(() => federation.hive.pool.getTask({ id, linearizable: true }));
  if (!task) throw new Error(`no task ${id}`);
  return task;
};

/** Waits until so many tasks of a type have ended. */
const ended = (type: string, count: number): Promise<unknown> =>
  until(async () => {
    const request = { states: [...ALL], pageSize: 1000 };
    const { tasks } = await federation.settled(() => federation.hive.pool.listTasks(request));
    return tasks.filter(({ spec }) => spec?.type === type).length >= count;
  }, PATIENCE_MS);

const inState = (id: string, state: TaskState) => until(async () => (await get(id)).state === state, PATIENCE_MS);

const signal = (started: Started, name: NodeJS.Signals) => void started.child.kill(name);

/** SIGKILL of whoever leads; then as many replicas as before. */
async function killLeader(name: 'registry' | 'pool'): Promise<void> {
  const leader = await federation.leader(name);
  signal(leader, 'SIGKILL');
  await leader.ended;
  await restore(name);
}

/** As many replicas as before: both wait for work, one of them leads. */
async function restore(name: 'registry' | 'pool'): Promise<void> {
  while (federation.running(name).length < 2) federation.service(name);
  await until(() => federation.running(name).every(isServing), PATIENCE_MS);
  await federation.leader(name);
}

/** A number that a task has written to its log. */
const pidIn = (id: string): Promise<number> =>
  until(async () => {
    const found: number[] = [];
    for await (const { lines } of federation.hive.pool.readTaskLog({ id, follow: false })) {
      found.push(...lines.map(({ text }) => Number(text)));
    }
    return found.find((number) => number > 0);
  }, PATIENCE_MS);

/** Every task that was ever submitted here ended once, with one accepted result. */
async function expectTruth(): Promise<void> {
  const { events, state, audit, overloaded } = await federation.truth();
  const ends = new Map(submitted.map((id) => [id, 0]));
  for (const event of events) {
    if (event.type === 'task.ended') ends.set(event.data.task, (ends.get(event.data.task) ?? 0) + 1);
  }
  expect([...ends].filter(([, count]) => count !== 1)).toEqual([]);
  expect(audit.faults).toEqual([]);
  expect(overloaded).toEqual([]);
  expect(state.queue.size).toBe(0);
  const accepted = submitted.map((id) =>
    state.tasks.get(id)?.attempts.filter(({ outcome }) => outcome === 'OUTCOME_SUCCEEDED'),
  );
  expect(accepted.filter((each) => (each?.length ?? 0) > 1)).toEqual([]);
}

test('whoever is killed in the middle of hundreds of tasks, each of them ends once', async () => {
  const exec = 'sleep 0.05; echo 1';
  const args = (name: string) => ['--type', 'storm', '--name', name, '--slots', '3', '--exec', exec];
  const names = ['a', 'b', 'c', 'd', 'e', 'f'];
  const agents = await Promise.all(names.map((name) => federation.ready(args(name))));
  const submitting = federation.submit('storm', 400, { type: 'storm' });

  await ended('storm', 40); // a third of all agents at once
  for (const agent of agents.slice(0, 2)) signal(agent, 'SIGKILL');

  await ended('storm', 90);
  await killLeader('pool');

  await ended('storm', 140);
  await killLeader('registry');

  await ended('storm', 190);
  await federation.nats.restart('SIGKILL');

  await ended('storm', 240); // stopped, and back when another has taken over
  const sleeper = await federation.leader('pool');
  signal(sleeper, 'SIGSTOP');
  await until(async () => (await federation.leader('pool')) !== sleeper, PATIENCE_MS);
  signal(sleeper, 'SIGCONT');

  await ended('storm', 290); // ended in order, under load
  for (const name of ['pool', 'registry'] as const) {
    const leader = await federation.leader(name);
    signal(leader, 'SIGTERM');
    expect(await leader.ended).toMatchObject({ code: 0, signal: null });
    await restore(name);
  }

  submitted.push(...(await submitting));
  await ended('storm', 400);
  for (const id of submitted) expect((await get(id)).state).toBe('TASK_STATE_SUCCEEDED');
  await expectTruth();
  for (const agent of agents) signal(agent, 'SIGKILL');
});

test('an agent that hangs loses its task; when it is back its late result is refused and its processes end', async () => {
  const exec = '[ $HIVEBUS_ATTEMPT -gt 1 ] || { echo $$; trap "" TERM; sleep 600; }; echo $HIVEBUS_ATTEMPT';
  const args = (name: string) => ['--type', 'hang', '--name', name, '--grace', '100ms', '--exec', exec];
  const agent = await federation.ready(args('hangs'));
  submitted.push(...(await federation.submit('hang', 1, { type: 'hang' })));
  const pid = await pidIn('hang-0');
  await federation.ready(args('helps'));
  signal(agent, 'SIGSTOP');
  await inState('hang-0', 'TASK_STATE_SUCCEEDED');
  expect(isAlive(pid)).toBe(true);
  signal(agent, 'SIGCONT');
  await until(() => !isAlive(pid), PATIENCE_MS);
  const { result, attempts } = await get('hang-0');
  expect(result).toBe(2);
  expect(attempts.map(({ outcome }) => outcome)).toEqual(['OUTCOME_LOST', 'OUTCOME_SUCCEEDED']);
  await expectTruth();
});

test('what a task has started outside of its group ends with it, and with its agent', async () => {
  const exec = 'setsid sleep 600 & echo $!; [ -z "$(cat | grep stay)" ] || sleep 600';
  const agent = await federation.ready(['--type', 'escape', '--slots', '2', '--exec', exec]);
  submitted.push(...(await federation.submit('leave', 1, { type: 'escape' })));
  await inState('leave-0', 'TASK_STATE_SUCCEEDED');
  const left = await pidIn('leave-0');
  await until(() => !isAlive(left), PATIENCE_MS);
  await federation.submit('stay', 1, { type: 'escape', payload: 'stay', maxAttempts: 1 });
  const stayed = await pidIn('stay-0');
  expect(isAlive(stayed)).toBe(true);
  signal(agent, 'SIGKILL');
  await until(() => !isAlive(stayed), PATIENCE_MS);
  await inState('stay-0', 'TASK_STATE_FAILED');
  submitted.push('stay-0');
});

test('of two agents of one name the newer stays, and does the work of the older', async () => {
  const args = ['--type', 'twin', '--name', 'twin', '--exec', '[ $HIVEBUS_ATTEMPT -gt 1 ] || sleep 600'];
  const older = await federation.ready(args);
  submitted.push(...(await federation.submit('twin', 1, { type: 'twin' })));
  await inState('twin-0', 'TASK_STATE_RUNNING');
  const newer = await federation.ready(args);
  expect(newer.said()).toContain('there is an agent code/twin already');
  const { code, stderr } = await older.ended;
  expect(code).not.toBe(0);
  expect(stderr).toContain('another instance took the place of agent code/twin');
  await inState('twin-0', 'TASK_STATE_SUCCEEDED');
});

test('a cancel that races with the end of its task: the task ends once, one way or the other', async () => {
  await federation.ready(['--type', 'race', '--slots', '4', '--exec', 'sleep 0.05']);
  const ids = await federation.submit('race', 40, { type: 'race' });
  submitted.push(...ids);
  await Promise.all(ids.map((id) => federation.hive.pool.cancelTask({ id, reason: 'race' }).catch(() => {})));
  await ended('race', 40);
  for (const id of ids) expect(['TASK_STATE_SUCCEEDED', 'TASK_STATE_CANCELLED']).toContain((await get(id)).state);
  await expectTruth();
});

test('agents and services may come first, the bus last; nothing of before is lost', async () => {
  await federation.nats.kill();
  for (const name of ['registry', 'pool'] as const) {
    for (const replica of federation.running(name)) {
      signal(replica, 'SIGKILL');
      await replica.ended;
    }
    federation.service(name);
  }
  await until(() => federation.running('pool').every((each) => each.said().includes('waiting for it')), PATIENCE_MS);
  await federation.nats.restart();
  const agent = federation.agent(['--type', 'late', '--exec', 'echo 1']);
  await until(() => agent.said().includes('is ready'), PATIENCE_MS);
  submitted.push(...(await federation.submit('late', 1, { type: 'late' })));
  await inState('late-0', 'TASK_STATE_SUCCEEDED');
  expect(isEnded(await get('storm-0'))).toBe(true);
  await expectTruth();
});
