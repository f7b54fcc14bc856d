import type { TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { DEFAULT_MAX_ATTEMPTS, DEFAULT_TASK_TIMEOUT_MS } from './settings.ts';

/** A task's spec with what it leaves out; ties that tie to nothing are left out. */
export function withDefaults(spec: TaskSpec): TaskSpec {
  const whole = {
    ...spec,
    timeoutMs: spec.timeoutMs || DEFAULT_TASK_TIMEOUT_MS,
    maxAttempts: spec.maxAttempts || DEFAULT_MAX_ATTEMPTS,
  };
  const { ties } = spec;
  // Most have none, and to take a field out of a copy takes longer than to make it.
  if (ties === undefined || ties.after.length > 0 || ties.group !== '' || ties.approval !== undefined) return whole;
  const { ties: _, ...untied } = whole;
  return untied;
}
