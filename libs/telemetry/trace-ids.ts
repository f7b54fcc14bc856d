import { randomHex } from '../kernel/ids.ts';

let given: string | undefined;

/**
 * Starts a span that begins a trace under an id which is known already. OpenTelemetry has no word for that: a span has
 * a parent, or the id of its trace is generated.
 */
export function underTraceId<T>(traceId: string, start: () => T): T {
  given = traceId;
  try {
    return start();
  } finally {
    given = undefined;
  }
}

/** Ids for providers of this process. */
export const traceIds = {
  generateTraceId: (): string => given ?? randomHex(16),
  generateSpanId: (): string => randomHex(8),
};
