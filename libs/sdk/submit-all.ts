import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { type Code, HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import { withJson } from '../protocol/json-text.ts';
import type { SubmitTaskRequest, TaskSpec, TaskState } from '../wire/hivebus/pool/v1/pool.ts';
import type { Delegated } from './delegation.ts';
import type { Hive } from './hive.ts';
import { errorOf } from './refused.ts';

/** One task of many. */
export interface Submission {
  readonly spec: Partial<TaskSpec> & Pick<TaskSpec, 'swarm' | 'type'>;
  /** Its id; left out, it gets one. A task of the same id and spec that is there already is the answer. */
  readonly id?: string;
}

/** What became of it. */
export interface Submitted {
  readonly id: string;
  /** False when it was there already, or is not known to be there. Of a given id a first try that nobody answered may have made it. */
  readonly created: boolean;
  readonly state: TaskState;
  /** Why it was refused, or that nobody has said what became of it; undefined when it is there. */
  readonly error: HiveError | undefined;
}

export interface SubmitAllOptions {
  /** What may pass by itself, such as a full queue or a pool that changes its leader, is tried again for so long, in milliseconds; default 30,000. */
  readonly patienceMs?: number;
  /** Check everything, submit nothing. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
}

/** What one call carries: the bus takes 1 MiB in a message, and a call's answer must fit as well. */
const MAX_ITEMS = 1000;
const MAX_BYTES = 384 * 1024;
const CALLS_AT_ONCE = 4;
const PATIENCE_MS = 30_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 2000;

/** What the service cannot read, or the bus not carry, for the sake of some of the items. */
const OF_SOME: ReadonlySet<Code> = new Set(['INVALID_ARGUMENT', 'RESOURCE_EXHAUSTED']);

/** What goes in one call. */
interface Item {
  readonly request: SubmitTaskRequest;
  /** The request as JSON. */
  readonly json: string;
  readonly place: number;
  /** Its id was made here: nobody else has a task of it. */
  readonly isOwn: boolean;
}

/**
 * Submits any number of tasks in as few calls as carry them, and says of each what became of it, in their order. One that
 * is refused keeps no other from being submitted, and one may always be submitted again: it is the same task. Rejects when the
 * signal aborts, or when there is nobody to begin with.
 */
export async function submitAll(
  hive: Pick<Hive, 'pool'>,
  tasks: readonly (Submission & Delegated)[],
  options: SubmitAllOptions = {},
): Promise<Submitted[]> {
  const { clock = systemClock, patienceMs = PATIENCE_MS, signal = NEVER, dryRun = false } = options;
  const outcomes = new Array<Submitted>(tasks.length);
  const giveUpAt = clock.monotonic() + patienceMs;
  let left = tasks.map((task, place): Item => itemOf(task, place, dryRun));
  for (let delayMs = FIRST_DELAY_MS; left.length > 0; delayMs = Math.min(2 * delayMs, MAX_DELAY_MS)) {
    const calls = inCalls(left);
    const lanes = Array.from({ length: CALLS_AT_ONCE }, async () => {
      for (let call = calls.shift(); call; call = calls.shift()) await submit(hive, call, outcomes, signal);
    });
    await Promise.all(lanes);
    left = left.filter(({ place }) => mayPass(outcomes[place]?.error));
    if (left.length === 0 || clock.monotonic() >= giveUpAt) break;
    const afterMs = Math.max(...left.map(({ place }) => outcomes[place]?.error?.retryAfterMs ?? 0));
    await pause(clock, Math.max(delayMs, afterMs), signal);
    if (signal.aborted) throw HiveError.from(signal.reason);
  }
  return outcomes;
}

const NEVER = new AbortController().signal;

/** Another call may do better; of one that nobody has answered the items may be there, and then are the answer. */
const mayPass = (error: HiveError | undefined): boolean =>
  error !== undefined && (error.retryable || error.code === 'DEADLINE_EXCEEDED');

function itemOf({ spec, id, ...by }: Submission & Delegated, place: number, dryRun: boolean): Item {
  const origin = by.origin ? { origin: by.origin } : {};
  // What is left out of a spec has its default when it is read.
  const whole = spec as TaskSpec;
  const request = { ...origin, spec: whole, id: id || `task-${randomId()}`, idempotent: true, dryRun };
  return { request, json: JSON.stringify(request), place, isOwn: !id };
}

function inCalls(items: readonly Item[]): Item[][] {
  const calls: Item[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const item of items) {
    const size = Buffer.byteLength(item.json);
    const last = calls.at(-1);
    if (!last || last.length >= MAX_ITEMS || bytes + size > MAX_BYTES) {
      calls.push([item]);
      bytes = size;
    } else {
      last.push(item);
      bytes += size;
    }
  }
  return calls;
}

/** One call; what it comes to for each of its items. */
async function submit(
  hive: Pick<Hive, 'pool'>,
  items: readonly Item[],
  outcomes: Submitted[],
  signal: AbortSignal,
): Promise<void> {
  const failed = (error: HiveError) => {
    for (const { place, request } of items) {
      outcomes[place] = { id: request.id, created: false, state: 'TASK_STATE_UNSPECIFIED', error };
    }
  };
  try {
    const json = `{"tasks":[${items.map((item) => item.json).join(',')}]}`;
    const request = withJson({ tasks: items.map(({ request }) => request) }, json);
    const { tasks } = await hive.pool.submitTasks(request, { signal });
    for (const [i, { place, request, isOwn }] of items.entries()) {
      const { refusal, created = false, state = 'TASK_STATE_UNSPECIFIED' } = tasks[i] ?? {};
      const error = refusal && errorOf(refusal);
      outcomes[place] = { id: request.id, created: created || (isOwn && !error), state, error };
    }
  } catch (cause) {
    const error = HiveError.from(cause);
    const nobodyIsThere = error.reason === 'NO_RESPONDERS' && outcomes.every((outcome) => outcome === undefined);
    if (mayPass(error) && !nobodyIsThere) return failed(error);
    if (error.retryable || !OF_SOME.has(error.code)) throw error;
    if (items.length === 1) return failed(error);
    const half = items.length >> 1;
    await submit(hive, items.slice(0, half), outcomes, signal);
    await submit(hive, items.slice(half), outcomes, signal);
  }
}
