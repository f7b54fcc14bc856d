import assert from 'node:assert/strict';
import { until } from '../../libs/testkit/until.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { HostClient } from './host-client.ts';

const LANES = 6;
const PROGRESS_MS = 180_000;

/** Work that goes on while things break: tasks one after the other in a few lanes, each looked at when it has ended. */
export class Load {
  readonly #client: HostClient;
  readonly #stopping = new AbortController();
  readonly #running: Promise<unknown>;
  #next = 0;
  #ended = 0;
  #failure: unknown;

  constructor(client: HostClient) {
    this.#client = client;
    const lanes = Array.from({ length: LANES }, () => this.#lane());
    this.#running = Promise.all([...lanes, client.keepBorrowing(this.#stopping.signal)]).catch((error: unknown) => {
      this.#failure = error;
    });
  }

  /** Resolves when `count` more tasks have ended well from now on. */
  async goesOn(count = 12): Promise<void> {
    const wanted = this.#ended + count;
    await until(() => this.#failure !== undefined || this.#ended >= wanted, PROGRESS_MS);
    if (this.#failure) throw this.#failure;
  }

  /** Lets what runs end, and compares what was accepted with what the pool has: each task once, each with its result. */
  async settle(): Promise<{ tasks: number; again: number }> {
    this.#stopping.abort();
    await this.#running;
    if (this.#failure) throw this.#failure;
    const tasks = await this.#client.tasks();
    assert.deepEqual(tasks.map(({ id }) => id).sort(), Array.from({ length: this.#next }, (_, n) => idOf(n)).sort());
    for (const task of tasks) check(task, Number(task.id.split('-')[1]));
    return { tasks: tasks.length, again: tasks.filter(({ attempts }) => attempts.length > 1).length };
  }

  async #lane(): Promise<void> {
    while (!this.#stopping.signal.aborted) {
      const n = this.#next++;
      check(await this.#client.runScript(idOf(n), `sleep 0.3; echo '{"n": ${n}}'`), n);
      this.#ended++;
    }
  }
}

const idOf = (n: number): string => `load-${n}`;

function check(task: Task, n: number): void {
  assert.equal(task.state, 'TASK_STATE_SUCCEEDED', `task ${task.id}: ${JSON.stringify(task)}`);
  assert.deepEqual(task.result, { n });
}
