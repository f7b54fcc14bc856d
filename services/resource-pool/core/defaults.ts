import type { TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { DEFAULT_MAX_ATTEMPTS, DEFAULT_TASK_TIMEOUT_MS } from './settings.ts';

/** A task's spec with what it leaves out; ties that tie to nothing are left out. */
export function withDefaults({ ties, ...spec }: TaskSpec): TaskSpec {
  const whole = {
    ...spec,
    timeoutMs: spec.timeoutMs || DEFAULT_TASK_TIMEOUT_MS,
    maxAttempts: spec.maxAttempts || DEFAULT_MAX_ATTEMPTS,
  };
  const isTied = ties !== undefined && (ties.after.length > 0 || ties.group !== '' || ties.approval !== undefined);
  return isTied ? { ...whole, ties } : whole;
}
