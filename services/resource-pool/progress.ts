import { timestamp } from '../../libs/kernel/timestamps.ts';
import type { Task, TaskProgress } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { currentAttempt } from './core/rows.ts';
import type { PoolState } from './core/state.ts';

/** Of one heartbeat. */
const MAX_SAID = 256;
const MAX_CHARACTERS = 256;
/** With so many what is over is looked for. */
const SWEEP_AT = 1024;

/**
 * How far running attempts are, as their agents say with heartbeats: known on each replica that hears them, never journaled,
 * and gone with the attempt. Bounded by what runs.
 */
export class ProgressBoard {
  readonly #state: () => PoolState;
  /** By task. */
  readonly #said = new Map<string, TaskProgress>();
  #sweepAt = SWEEP_AT;

  constructor(state: () => PoolState) {
    this.#state = state;
  }

  get size(): number {
    return this.#said.size;
  }

  /** What an agent says, at `now`. Of attempts that are not its own nothing is kept. */
  take(agent: string, said: readonly TaskProgress[], now: number): void {
    for (const each of said.slice(0, MAX_SAID)) {
      if (this.#holderOf(each) !== agent) continue;
      const { task, attempt, percent, text } = each;
      const known = percent === undefined ? {} : { percent: Math.min(100, percent) };
      this.#said.set(task, { task, attempt, ...known, text: text.slice(0, MAX_CHARACTERS), at: timestamp(now) });
    }
    if (this.#said.size >= this.#sweepAt) this.#sweep();
  }

  /** The task, with what is known of its attempt. */
  on(task: Task): Task {
    const said = task.state === 'TASK_STATE_RUNNING' ? this.#said.get(task.id) : undefined;
    return said && said.attempt === task.attempts.length ? { ...task, progress: said } : task;
  }

  /** The agent whose current attempt it is. */
  #holderOf({ task: id, attempt }: TaskProgress): string | undefined {
    const task = this.#state().tasks.get(id);
    const current = task && currentAttempt(task);
    return current?.number === attempt ? current.agent : undefined;
  }

  #sweep(): void {
    for (const [task, said] of this.#said) if (this.#holderOf(said) === undefined) this.#said.delete(task);
    this.#sweepAt = Math.max(SWEEP_AT, 2 * this.#said.size);
  }
}
