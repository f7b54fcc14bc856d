import { afterAll, beforeAll, expect, onTestFailed, test } from 'vitest';
import { submitAll } from '../../libs/sdk/submit-all.ts';
import { followTasks, isEnded } from '../../libs/sdk/wait.ts';
import { until } from '../../libs/testkit/until.ts';
import { Federation } from './federation.ts';
import type { Started } from './hivebus.ts';
import { isServing } from './replicas.ts';
import { endsOf, howOf, taskOf } from './work.ts';

/**
 * Agents, the pool's leader and the broker, each killed in the middle of a thousand tasks that succeed, fail, fail for a
 * while, are cancelled, have a claim, or are reported twice. What came of it is read from the journal (`audit.ts`).
 */

const TASKS = 1000;
const TASK_MS = 60;
const SLOTS = 3;
const PATIENCE_MS = 120_000;

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.start(2);
}, 120_000);
afterAll(() => federation[Symbol.asyncDispose]());

const kill = async ({ child, ended }: Started): Promise<void> => {
  child.kill('SIGKILL');
  await ended;
};

/** A thousand tasks of a type, half of them at once. */
class Storm implements AsyncDisposable {
  readonly workers: Started[] = [];
  readonly #type: string;
  readonly #ended = new Set<string>();
  readonly #following: AsyncDisposable;

  constructor(type: string) {
    this.#type = type;
    onTestFailed(() => console.error(`${this.#ended.size} ended\n${federation.said()}`));
    this.#following = followTasks(federation.hive, { swarm: 'code' }, (task) => {
      if (isEnded(task) && task.id.startsWith(`${type}-`)) this.#ended.add(task.id);
    });
  }

  async start(workers: number): Promise<void> {
    const names = Array.from({ length: workers }, (_, i) => `${this.#type}-${i}`);
    this.workers.push(...(await Promise.all(names.map((name) => federation.worker(name, this.#type, SLOTS)))));
    await this.submit(0, TASKS / 2);
  }

  /** Who said nothing of what was submitted is asked again, and whoever was accepted is not submitted twice. */
  async submit(from: number, to: number): Promise<void> {
    const places = Array.from({ length: to - from }, (_, i) => from + i);
    const tasks = places.map((i) => taskOf(howOf(i), `${this.#type}-${i}`, this.#type, TASK_MS));
    const submitted = await federation.settled(() => submitAll(federation.hive, tasks));
    expect(submitted.filter(({ error }) => error)).toEqual([]);
  }

  /** Resolves when so many have ended. */
  async ended(count: number): Promise<void> {
    await until(() => this.#ended.size >= count, PATIENCE_MS);
  }

  /** Cancels what shall be: some of it runs, some waits, some has ended. */
  async cancel(): Promise<void> {
    const ids = Array.from({ length: TASKS }, (_, i) => i).filter((i) => howOf(i) === 'doomed');
    const cancel = (i: number) => federation.hive.pool.cancelTask({ id: `${this.#type}-${i}`, reason: 'doomed' });
    const hasEnded = (error: unknown) => expect(error).toMatchObject({ code: 'FAILED_PRECONDITION' });
    await Promise.all(ids.map((i) => federation.settled(() => cancel(i)).catch(hasEnded)));
  }

  /** Every task ended as it may, once, and every promise holds at every record. */
  async expectTruth(): Promise<void> {
    await this.ended(TASKS);
    const { audit, state, overloaded } = await federation.truth();
    expect(audit.faults).toEqual([]);
    expect(overloaded).toEqual([]);
    expect(state.queue.size).toBe(0);
    for (let i = 0; i < TASKS; i++) {
      const [id, how] = [`${this.#type}-${i}`, howOf(i)];
      const end = audit.endOf(id);
      expect(endsOf(how), `${how} ${id}`).toContain(end?.state);
      if (end?.state === 'TASK_STATE_FAILED') expect(end.reason, id).toMatch(/not this time|it cannot be done|agent/);
      if (how === 'twice') expect(end?.result, id).toEqual({ how, said: 'first' });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#following[Symbol.asyncDispose]();
    await Promise.all(this.workers.map(kill));
  }
}

/** Two replicas of the pool that serve, one of them leads. */
async function killLeader(): Promise<void> {
  await kill(await federation.leader('pool'));
  federation.service('pool');
  await until(() => federation.running('pool').every(isServing), PATIENCE_MS);
  await federation.leader('pool');
}

test('agents are killed one by one, stopped and gone on, and a third of them killed at once', async () => {
  await using storm = new Storm('agents');
  await storm.start(9);
  const { workers } = storm;
  const at = (i: number) => workers[i] as Started;
  const submitting = storm.submit(TASKS / 2, TASKS);
  await storm.ended(100);
  at(0).child.kill('SIGSTOP');
  await storm.ended(200);
  await kill(at(1));
  await Promise.all([submitting, storm.cancel()]);
  await storm.ended(350);
  await kill(at(2));
  await storm.ended(500);
  await Promise.all([at(3), at(4), at(5)].map(kill));
  const isGivenAway = async () => {
    const { agent } = await federation.hive.pool.getAgent({ swarm: 'code', name: 'agents-0' });
    return agent?.state === 'AGENT_STATE_UNREACHABLE';
  };
  await until(isGivenAway, PATIENCE_MS);
  at(0).child.kill('SIGCONT');
  await storm.expectTruth();
});

test("the pool's leader is killed, and killed again", async () => {
  await using storm = new Storm('leader');
  await storm.start(8);
  await storm.ended(200);
  await Promise.all([killLeader(), storm.submit(TASKS / 2, TASKS)]);
  await storm.ended(500);
  await Promise.all([killLeader(), storm.cancel()]);
  await storm.expectTruth();
});

test('the broker is killed, and killed again', async () => {
  await using storm = new Storm('broker');
  await storm.start(8);
  await storm.ended(200);
  await Promise.all([federation.nats.restart('SIGKILL'), storm.submit(TASKS / 2, TASKS)]);
  await storm.ended(500);
  await Promise.all([federation.nats.restart('SIGKILL'), storm.cancel()]);
  await storm.expectTruth();
});
