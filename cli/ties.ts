import type { Approval, FailurePolicy, TaskTies } from '../libs/wire/hivebus/pool/v1/group.ts';

/** What is said of a task's ties to others, in options or a manifest. */
interface Said {
  readonly after: readonly string[];
  readonly onFailure: FailurePolicy;
  readonly group: string;
  readonly phase: string;
  readonly approval?: Approval | undefined;
}

/** As a part of a task's spec: none when nothing is said. */
export function tiesOf({ after, onFailure, group, phase, approval }: Said): { ties?: TaskTies } {
  if (after.length === 0 && group === '' && phase === '' && !approval) return {};
  const dependencies = after.map((task) => ({ task, onFailure }));
  return { ties: { after: dependencies, group, phase, vote: 0, ...(approval ? { approval } : {}) } };
}
