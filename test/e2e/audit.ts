import type { TaskEnded } from '../../libs/wire/hivebus/pool/v1/events.ts';
import type { PoolEvent } from '../../services/resource-pool/core/state.ts';

/** A record of the journal. */
interface Entry {
  readonly revision: number;
  /** Machine time, milliseconds since 1970. */
  readonly time: number;
  readonly events: readonly PoolEvent[];
}

interface Known {
  readonly claimed: boolean;
  /** The attempt that goes on, and who has it. */
  agent: string | undefined;
  attempt: number;
  started: boolean;
  /** Somebody may have the claim until then. */
  claimedUntil: number;
  ended: TaskEnded | undefined;
}

/**
 * Holds the pool's promises against the records of its journal, and against nothing else: the pool's own state, and its
 * own code, may be wrong in the same way.
 *
 * - A task ends once, and nothing happens to it afterwards.
 * - Its attempts come one after the other; one with a claim starts only when the claim of the one before is over.
 * - No agent has more attempts than slots after any record.
 */
export class Audit {
  /** What was found, in words. */
  readonly faults: string[] = [];
  readonly #tasks = new Map<string, Known>();
  readonly #slots = new Map<string, number>();
  /** Tasks that each agent has. */
  readonly #held = new Map<string, Set<string>>();

  /** The end of a task; undefined = it has none, or is not known. */
  endOf(task: string): TaskEnded | undefined {
    return this.#tasks.get(task)?.ended;
  }

  take({ revision, time, events }: Entry): void {
    for (const event of events) this.#take(event, revision, time);
    for (const [agent, tasks] of this.#held) {
      const slots = this.#slots.get(agent) ?? 0;
      if (tasks.size > slots) this.#fault(revision, `${agent} has ${tasks.size} tasks and ${slots} slots`);
    }
  }

  #take({ type, data }: PoolEvent, revision: number, time: number): void {
    switch (type) {
      case 'agent.registered':
        if (data.agent) this.#slots.set(`${data.agent.swarm}/${data.agent.name}`, data.agent.slots);
        return;
      case 'task.submitted': {
        if (this.#tasks.has(data.task)) this.#fault(revision, `${data.task} is submitted again`);
        const claimed = data.spec?.continuity?.claim === true;
        const fresh = { agent: undefined, attempt: 0, started: false, claimedUntil: 0, ended: undefined };
        this.#tasks.set(data.task, { claimed, ...fresh });
        return;
      }
      case 'task.assigned': {
        const task = this.#going(data.task, revision, type);
        if (task.agent !== undefined)
          this.#fault(revision, `${data.task} is with ${task.agent}, and given to ${data.agent}`);
        if (data.attempt !== task.attempt + 1)
          this.#fault(revision, `${data.task} after ${task.attempt}: ${data.attempt}`);
        Object.assign(task, { agent: data.agent, attempt: data.attempt, started: false });
        this.#heldBy(data.agent).add(data.task);
        return;
      }
      case 'task.started': {
        const task = this.#current(data, revision, type);
        if (task.started) this.#fault(revision, `${data.task} starts again`);
        if (task.claimed && time < task.claimedUntil)
          this.#fault(revision, `${data.task} starts ${task.claimedUntil - time} ms before the last claim is over`);
        task.started = true;
        return;
      }
      case 'task.attempt-ended': {
        const task = this.#current(data, revision, type);
        const isSilent = data.outcome === 'OUTCOME_LOST' && data.reason.startsWith('agent unreachable');
        if (task.claimed && task.started && isSilent && data.claimMs === 0)
          this.#fault(revision, `${data.task} does not wait for the claim of ${task.agent}`);
        this.#leave(data.task, task);
        task.claimedUntil = time + data.claimMs;
        return;
      }
      case 'task.ended': {
        const task = data.attempt > 0 ? this.#current(data, revision, type) : this.#going(data.task, revision, type);
        this.#leave(data.task, task);
        task.ended = data;
        return;
      }
    }
  }

  /** A task that has not ended; one that nobody has submitted is a fault, too. */
  #going(id: string, revision: number, type: string): Known {
    const task = this.#tasks.get(id);
    if (!task || task.ended)
      this.#fault(revision, `${type} of ${id}, which ${task ? 'has ended' : 'nobody submitted'}`);
    return task ?? { claimed: false, agent: undefined, attempt: 0, started: false, claimedUntil: 0, ended: undefined };
  }

  /** A task of which the attempt goes on. */
  #current({ task: id, attempt }: { task: string; attempt: number }, revision: number, type: string): Known {
    const task = this.#going(id, revision, type);
    if (task.agent === undefined || task.attempt !== attempt)
      this.#fault(revision, `${type} of attempt ${attempt} at ${id}, whose last is ${task.attempt}`);
    return task;
  }

  #leave(id: string, task: Known): void {
    if (task.agent !== undefined) this.#heldBy(task.agent).delete(id);
    Object.assign(task, { agent: undefined, started: false });
  }

  #heldBy(agent: string): Set<string> {
    const tasks = this.#held.get(agent) ?? new Set();
    this.#held.set(agent, tasks);
    return tasks;
  }

  #fault(revision: number, what: string): void {
    this.faults.push(`record ${revision}: ${what}`);
  }
}
