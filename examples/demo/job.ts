import type { ChildProcess } from 'node:child_process';
import {
  followTasks,
  type Hive,
  HiveError,
  inBackground,
  isEnded,
  type Swarm,
  type Task,
} from '../../libs/sdk/index.ts';
import type { ExplainResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { AGENT_TYPE, type DemoFederation } from './federation.ts';
import type { Standing } from './progress.ts';
import { endOfWait, firstThatWaits, type Lent, type Waited, whyLent } from './reasons.ts';
import type { SourceFiles } from './source-files.ts';

/** What came of the job. */
export interface Outcome {
  readonly tasks: readonly Task[];
  readonly lent: readonly Lent[];
  /** One that had to wait, and what for; undefined when none was seen waiting. */
  readonly waited: Waited | undefined;
  /** The agent that was killed, and the task that it was at. */
  readonly killed: { readonly agent: string; readonly task: string } | undefined;
  readonly tookMs: number;
}

/** How many agents swarm `code` borrows at most. */
const MAX_BORROWED = 3;
const BORROW_EVERY_MS = 300;
const SUBMIT_AT_ONCE = 32;
const LIMIT_MS = 300_000;

/** A task for each file, given to swarm `code`, with an accident half way. */
export class Job {
  readonly #federation: DemoFederation;
  readonly #source: SourceFiles;
  readonly #tasks = new Map<string, Task>();
  readonly #lent: Lent[] = [];
  #waits: ExplainResponse | undefined;
  readonly #stop: AbortSignal;
  readonly #say: (text: string) => void;
  #killed: Outcome['killed'];

  constructor(federation: DemoFederation, source: SourceFiles, stop: AbortSignal, say: (text: string) => void) {
    this.#federation = federation;
    this.#source = source;
    this.#stop = stop;
    this.#say = say;
  }

  get #pool(): Hive['pool'] {
    return this.#federation.swarms.code.hive.pool;
  }

  standing(): Standing {
    const tasks = [...this.#tasks.values()];
    return {
      done: tasks.filter(isEnded).length,
      total: this.#source.files.length,
      running: tasks.filter((task) => task.state === 'TASK_STATE_RUNNING').length,
      borrowed: this.#lent.length,
      retried: tasks.filter((task) => task.attempts.length > 1).length,
    };
  }

  async run(): Promise<Outcome> {
    this.#stop.throwIfAborted();
    const startedAt = performance.now();
    const over = new AbortController();
    const signal = AbortSignal.any([over.signal, this.#stop, AbortSignal.timeout(LIMIT_MS)]);
    try {
      const allDone = this.#follow(signal);
      const borrowing = this.#borrow(this.#federation.swarms.code, signal);
      await Promise.race([Promise.all([this.#submit(signal), allDone]), borrowing.then(() => allDone)]);
      over.abort();
      await borrowing;
    } finally {
      over.abort();
    }
    const tookMs = performance.now() - startedAt;
    const waits = this.#waits;
    const waited = waits && (await inBackground(() => endOfWait(this.#pool, waits, this.#lent)));
    return { tasks: [...this.#tasks.values()], lent: this.#lent, waited, killed: this.#killed, tookMs };
  }

  async #submit(signal: AbortSignal): Promise<void> {
    const { repo, files } = this.#source;
    const waiting = [...files];
    const worker = async () => {
      for (let file = waiting.shift(); file !== undefined && !signal.aborted; file = waiting.shift()) {
        await this.#federation.swarms.code.submitTask({
          type: AGENT_TYPE,
          title: file.slice(-128),
          payload: { repo, file },
          timeoutMs: 30_000,
        });
      }
    };
    await Promise.all(Array.from({ length: SUBMIT_AT_ONCE }, worker));
  }

  /** Resolves when every task has ended; rejects when that cannot be waited for any longer. */
  async #follow(signal: AbortSignal): Promise<void> {
    const { hive } = this.#federation.swarms.code;
    let following: AsyncDisposable | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        const giveUp = () =>
          reject(new Error(this.#stop.aborted ? 'interrupted' : `not done after ${LIMIT_MS / 1000} s`));
        signal.addEventListener('abort', giveUp, { once: true });
        following = followTasks(hive, { swarm: 'code' }, (task) => {
          this.#tasks.set(task.id, task);
          this.#causeAccident(task);
          if (this.standing().done === this.#source.files.length) resolve();
        });
      });
    } finally {
      await following?.[Symbol.asyncDispose]();
    }
  }

  /** The queen of `code`: as long as more waits than its agents can do, it asks the others. */
  async #borrow(code: Swarm, signal: AbortSignal): Promise<void> {
    const borrowed: AsyncDisposable[] = [];
    while (!signal.aborted && borrowed.length < MAX_BORROWED) {
      const { done, total } = this.standing();
      if (total - done > 2 * (borrowed.length + 1) && this.#tasks.size > 0) {
        this.#waits ??= await inBackground(() => firstThatWaits(this.#pool, [...this.#tasks.values()]));
        const agent = await this.#borrowOne(code);
        if (agent) borrowed.push(agent);
      }
      await new Promise((resolve) => setTimeout(resolve, borrowed.length === 0 ? 50 : BORROW_EVERY_MS));
    }
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await Promise.all(borrowed.map((agent) => agent[Symbol.asyncDispose]()));
  }

  async #borrowOne(code: Swarm): Promise<AsyncDisposable | undefined> {
    try {
      const agent = await code.requestAgent({ type: AGENT_TYPE, termMs: 10_000 });
      const lent = await inBackground(() => whyLent(this.#pool, agent.lease));
      this.#lent.push(lent);
      this.#say(`code borrows ${agent.lease.agent} of ${agent.lease.lender}`);
      return agent;
    } catch (error) {
      if (error instanceof HiveError && error.code === 'RESOURCE_EXHAUSTED') return undefined;
      throw error;
    }
  }

  /** Half way, a borrowed agent that is at work dies. */
  #causeAccident(task: Task): void {
    const { done, total } = this.standing();
    if (this.#killed || done < total / 2 || task.state !== 'TASK_STATE_RUNNING') return;
    const attempt = task.attempts.at(-1);
    const child: ChildProcess | undefined = this.#federation.agents.get(attempt?.agent ?? '');
    if (!attempt?.lease || !child) return;
    child.kill('SIGKILL');
    this.#killed = { agent: attempt.agent, task: task.id };
    this.#say(`agent ${attempt.agent} is killed (SIGKILL) while it is at ${task.spec?.title}`);
  }
}
