import { setTimeout as sleep } from 'node:timers/promises';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { CallOptions } from '../../libs/rpc/api.ts';
import { connect } from '../../libs/sdk/connect.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { waitForTask } from '../../libs/sdk/wait.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Task, TaskSpec, TaskState } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** How long each queen waits for an answer, in milliseconds: the last one gives up while its call is being done. */
const WAITS_MS = [30_000, 10_000, 1500];
/** Between two calls of a client, so that services have room on a busy machine. */
const PACE_MS = 20;
/** What agents do for the first queen. */
export const WORK = { type: 'work', swarm: 'q0', labels: { kind: 'work' } } as const;
const WORK_LANES = 2;
const UNENDED: TaskState[] = ['TASK_STATE_QUEUED', 'TASK_STATE_ASSIGNED', 'TASK_STATE_RUNNING'];
/** Agents that are out of reach lose attempts; no task may fail for it. */
const MAX_ATTEMPTS = 50;

/**
 * Queens, each with a key and a connection of its own, that submit tasks and register further swarms without a pause;
 * with agents, tasks that these do are waited for as well.
 * What a call that failed has done is not known: its task's title and its swarm's name are not used again.
 */
export class Clients implements AsyncDisposable {
  /** Ids of accepted tasks, by title. */
  readonly tasks = new Map<string, string>();
  /** Revisions of accepted swarms, by name. */
  readonly swarms = new Map<string, string>();
  /** Errors that no client may see. */
  readonly faults: unknown[] = [];
  /** What they may see and saw, by reason. */
  readonly seen: Record<string, number> = {};
  readonly #hives: readonly Hive[];
  readonly #patienceMs: number;
  readonly #lanes: Promise<void>[] = [];
  readonly #answers: number[] = [];
  #stopping = false;

  /** Their keys lie in `home`. */
  static async start(servers: readonly string[], home: string, patienceMs: number): Promise<Clients> {
    const queen = (_: number, i: number) =>
      connect({ servers, home, identity: { kind: 'swarm', swarm: `q${i}` }, env: {} });
    return new Clients(await Promise.all(WAITS_MS.map(queen)), patienceMs);
  }

  private constructor(hives: readonly Hive[], patienceMs: number) {
    this.#hives = hives;
    this.#patienceMs = patienceMs;
  }

  /** Registers the queens' own swarms, and begins. */
  async begin(): Promise<void> {
    for (const [i, hive] of this.#hives.entries()) {
      const options = { timeoutMs: WAITS_MS[i] as number };
      await until(() => this.#answered(() => this.#register(hive, `q${i}`, options)), this.#patienceMs);
      this.#lane((n) => this.#submit(hive, `q${i}`, `q${i}-task-${n}`, options));
      this.#lane((n) => this.#register(hive, `q${i}-swarm-${n}`, options));
    }
  }

  /** From now on there are agents for work, and whoever submits some waits for its end. */
  beginWork(): void {
    const [hive] = this.#hives as [Hive];
    for (let lane = 0; lane < WORK_LANES; lane++) this.#lane((n) => this.#work(hive, `work-${lane}-${n}`));
  }

  /** Resolves when each lane has got 20 more answers: everything works again. */
  async moves(): Promise<void> {
    const before = [...this.#answers];
    await until(() => this.#answers.every((count, i) => count >= (before[i] as number) + 20), this.#patienceMs);
  }

  /**
   * Ends the load, has one more task accepted, and waits for the end of all work, also of what was submitted by calls
   * that failed: the pool's revision, and the registry's, are after everything before.
   */
  async settle(): Promise<{ pool: string; registry: string }> {
    this.#stopping = true;
    await Promise.all(this.#lanes);
    const [hive] = this.#hives as [Hive];
    let last = '';
    let n = 0;
    const submit = async () => {
      last = await this.#submit(hive, 'q0', `q0-last-${n++}`);
    };
    await until(() => this.#answered(submit), this.#patienceMs);
    let pool = '';
    const workIsDone = async () => {
      const { total, revision } = await hive.pool.listTasks({
        labels: WORK.labels,
        states: UNENDED,
        minRevision: last,
      });
      if (total === 0) pool = revision;
    };
    await until(async () => (await this.#answered(workIsDone)) && pool, this.#patienceMs);
    let registry = '';
    const list = async () => {
      registry = (await hive.registry.listSwarms({ pageSize: 1, linearizable: true })).revision;
    };
    await until(() => this.#answered(list), this.#patienceMs);
    return { pool, registry };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopping = true;
    for (const { nc } of this.#hives) await nc.close();
    await Promise.all(this.#lanes);
  }

  #lane(call: (n: number) => Promise<unknown>): void {
    const index = this.#answers.push(0) - 1;
    const run = async () => {
      for (let n = 0; !this.#stopping; n++) {
        if (await this.#answered(() => call(n))) (this.#answers[index] as number)++;
        await sleep(PACE_MS);
      }
    };
    this.#lanes.push(run());
  }

  async #submit(hive: Hive, swarm: string, title: string, options: CallOptions = {}): Promise<string> {
    const { task, revision } = await hive.pool.submitTask({ spec: specOf({ swarm, type: 'nobody', title }) }, options);
    this.tasks.set(title, task?.id ?? '');
    return revision;
  }

  async #work(hive: Hive, title: string): Promise<void> {
    const { task } = await hive.pool.submitTask({ spec: specOf({ ...WORK, title, maxAttempts: MAX_ATTEMPTS }) });
    const { id } = task as Task;
    this.tasks.set(title, id);
    await waitForTask(hive, id, { signal: AbortSignal.timeout(this.#patienceMs) });
  }

  async #register(hive: Hive, name: string, options: CallOptions): Promise<void> {
    const queen = await hive.as({ kind: 'swarm', swarm: name });
    const { swarmRevision } = await queen.registry.registerSwarm({ name }, options);
    this.swarms.set(name, swarmRevision);
  }

  async #answered(call: () => Promise<unknown>): Promise<boolean> {
    try {
      await call();
      return true;
    } catch (caught) {
      const error = HiveError.from(caught);
      // Of a call that took longer than its caller waits nobody says that it may be repeated; this one does not repeat.
      if (!error.retryable && error.code !== 'DEADLINE_EXCEEDED') this.faults.push(error);
      const reason = error.reason ?? error.code;
      this.seen[reason] = (this.seen[reason] ?? 0) + 1;
      return false;
    }
  }
}

const specOf = (spec: Partial<TaskSpec> & Pick<TaskSpec, 'swarm' | 'type' | 'title'>): TaskSpec => ({
  ...{ capabilities: [], script: '', timeoutMs: 0, maxAttempts: 0, priority: 0, labels: {} },
  ...spec,
});
