import { expect, onTestFailed } from 'vitest';
import { submitAll } from '../../libs/sdk/submit-all.ts';
import { followTasks, isEnded } from '../../libs/sdk/wait.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Federation } from './federation.ts';
import type { Started } from './hivebus.ts';
import { endsOf, howOf, taskOf } from './work.ts';

export const TASKS = 1000;
const TASK_MS = 60;
const SLOTS = 3;
/** A storm takes ten to twenty seconds; on a starved machine ten times as long. */
export const PATIENCE_MS = 240_000;
export const LIMIT_MS = 400_000;

export const kill = async ({ child, ended }: Started): Promise<void> => {
  child.kill('SIGKILL');
  await ended;
};

/** A thousand tasks of a type, half of them at once. */
export class Storm implements AsyncDisposable {
  readonly workers: Started[] = [];
  readonly #federation: Federation;
  readonly #type: string;
  readonly #ended = new Set<string>();
  readonly #following: AsyncDisposable;

  /** Tasks and agents are named after `type`. */
  constructor(federation: Federation, type: string) {
    this.#federation = federation;
    this.#type = type;
    onTestFailed(() => console.error(`${this.#ended.size} ended\n${federation.said()}`));
    this.#following = followTasks(federation.hive, { swarm: 'code' }, (task) => {
      if (isEnded(task) && task.id.startsWith(`${type}-`)) this.#ended.add(task.id);
    });
  }

  /** Starts agents, and submits the first half of the tasks. `by`: addresses for sessions, each agent's own first. */
  async start(workers: number, by: readonly string[] = []): Promise<void> {
    const start = (_: unknown, i: number) =>
      this.#federation.worker(`${this.#type}-${i}`, this.#type, SLOTS, rotated(by, i));
    this.workers.push(...(await Promise.all(Array.from({ length: workers }, start))));
    await this.submit(0, TASKS / 2);
  }

  /** Who said nothing of what was submitted is asked again, and whoever was accepted is not submitted twice. */
  async submit(from: number, to: number): Promise<void> {
    const places = Array.from({ length: to - from }, (_, i) => from + i);
    const tasks = places.map((i) => taskOf(howOf(i), `${this.#type}-${i}`, this.#type, TASK_MS));
    const submitted = await this.#federation.settled(() => submitAll(this.#federation.hive, tasks));
    expect(submitted.filter(({ error }) => error)).toEqual([]);
  }

  /** Resolves when so many have ended. */
  async ended(count: number): Promise<void> {
    await until(() => this.#ended.size >= count, PATIENCE_MS);
  }

  /** Cancels what shall be: some of it runs, some waits, some has ended. */
  async cancel(): Promise<void> {
    const ids = Array.from({ length: TASKS }, (_, i) => i).filter((i) => howOf(i) === 'doomed');
    const cancel = (i: number) => this.#federation.hive.pool.cancelTask({ id: `${this.#type}-${i}`, reason: 'doomed' });
    const hasEnded = (error: unknown) => expect(error).toMatchObject({ code: 'FAILED_PRECONDITION' });
    await Promise.all(ids.map((i) => this.#federation.settled(() => cancel(i)).catch(hasEnded)));
  }

  /** Every task ended as it may, once, and every promise holds at every record. */
  async expectTruth(): Promise<void> {
    await this.ended(TASKS);
    const { audit, state, overloaded } = await this.#federation.truth();
    expect(audit.faults).toEqual([]);
    expect(overloaded).toEqual([]);
    expect(state.queue.size).toBe(0);
    for (let i = 0; i < TASKS; i++) {
      const [id, how] = [`${this.#type}-${i}`, howOf(i)];
      const end = audit.endOf(id);
      expect(endsOf(how), `${how} ${id}`).toContain(end?.state);
      if (end?.state === 'TASK_STATE_FAILED') expect(end.reason, id).toMatch(/not this time|it cannot be done|agent/);
      if (end?.state === 'TASK_STATE_CANCELLED') expect(end.reason, id).toBe('doomed');
      if (how === 'twice') expect(end?.result, id).toEqual({ how, said: 'first' });
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#following[Symbol.asyncDispose]();
    await Promise.all(this.workers.map(kill));
  }
}

const rotated = <T>(all: readonly T[], by: number): readonly T[] => all.map((_, i) => all[(i + by) % all.length] as T);
