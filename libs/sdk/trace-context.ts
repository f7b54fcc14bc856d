import { randomId } from '../kernel/ids.ts';
import type { Trace } from '../protocol/machine.ts';
import { BACKGROUND } from '../rpc/observe.ts';
import { freshTraceparent } from '../telemetry/traceparent.ts';
import { currentContext, within } from './context.ts';
import type { AgentTask } from './task.ts';

/** The message or task that is being handled here, if any: what is sent from here belongs to its trace. */
export const currentTrace = (): Trace | undefined => currentContext().trace;

export const withTrace = <T>(trace: Trace, run: () => T): T => within({ trace, task: currentContext().task }, run);

/**
 * Runs what is done for nobody's sake, such as waiting for others or keeping up to date: it begins no trace, and is part
 * of none, or it would be most of what traces show.
 */
export const inBackground = <T>(run: () => T): T => withTrace(BACKGROUND, run);

export const traceOfTask = ({ traceparent, correlationId, hops }: AgentTask): Trace => ({
  traceparent,
  correlationId,
  hops,
});

/** A message counts one hop more than what it was sent for; these were sent for nothing. */
const NO_HOP_YET = -1;

/** A trace that begins here. */
export const freshTrace = (): Trace => ({
  traceparent: freshTraceparent(),
  correlationId: randomId(),
  hops: NO_HOP_YET,
});

/** The environment of a process that shall belong to a trace, as `traceOfEnvironment` reads it. */
export const environmentOfTrace = ({ traceparent, correlationId, hops }: Trace): Record<string, string> => ({
  HIVEBUS_CORRELATION_ID: correlationId,
  HIVEBUS_HOPS: String(hops),
  TRACEPARENT: traceparent,
});

/** What an agent, or a tracing tool, gave this process in its environment; undefined when it begins by itself. */
export function traceOfEnvironment(env: NodeJS.ProcessEnv): Trace | undefined {
  const traceparent = env.TRACEPARENT ?? '';
  const correlationId = env.HIVEBUS_CORRELATION_ID ?? '';
  if (traceparent === '' && correlationId === '') return undefined;
  const hops = /^\d{1,9}$/.test(env.HIVEBUS_HOPS ?? '') ? Number(env.HIVEBUS_HOPS) : NO_HOP_YET;
  return { traceparent, correlationId: correlationId || randomId(), hops };
}
