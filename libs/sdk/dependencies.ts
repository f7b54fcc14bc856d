import type { GetTaskResponse, TaskState } from '../wire/hivebus/pool/v1/pool.ts';

/** How a task that another depends on has ended. */
export interface Dependency {
  readonly task: string;
  /** Anything but SUCCEEDED only where the dependency says CONTINUE. */
  readonly state: TaskState;
  /** Its result; undefined when it has none, or `omitted`. */
  readonly result?: unknown;
  /** Why it failed or was cancelled. */
  readonly reason: string;
  /** True: its result is left out, since all together are too large. GetTask has it. */
  readonly omitted: boolean;
}

/** Results of all dependencies together, in bytes of JSON; each may have up to 256 KiB. */
const MAX_BYTES = 1024 * 1024;

/** Asks for the tasks, at once, and takes their results in their order as long as there is room. */
export async function dependenciesOf(
  get: (id: string) => Promise<GetTaskResponse>,
  ids: readonly string[],
): Promise<Dependency[]> {
  const tasks = await Promise.all(ids.map(async (id) => (await get(id)).task));
  let left = MAX_BYTES;
  return tasks.flatMap((task): Dependency[] => {
    if (!task) return [];
    const { id, state, result, reason } = task;
    const bytes = result === undefined ? 0 : Buffer.byteLength(JSON.stringify(result));
    const omitted = bytes > left;
    if (!omitted) left -= bytes;
    return [{ task: id, state, reason, omitted, ...(omitted || bytes === 0 ? {} : { result }) }];
  });
}
