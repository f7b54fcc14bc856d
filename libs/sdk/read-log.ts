import { type Clock, pause, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { LogLine } from '../wire/hivebus/pool/v1/pool.ts';
import type { Hive } from './hive.ts';

export interface ReadLogOptions {
  /** True: go on until the task ends. Default: the lines kept so far. */
  readonly follow?: boolean | undefined;
  readonly signal?: AbortSignal;
  /** Told why it cannot read on, while it tries to; and told when it does again. */
  readonly onFault?: (error: HiveError) => void;
  readonly onBack?: () => void;
  readonly clock?: Clock;
}

const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 2000;

/**
 * A task's output line by line. Once it has begun it survives restarts of the pool and of the bus: it goes on after the
 * last line that it had, for as long as it takes. Before, it fails like any call.
 */
export async function* readTaskLog(hive: Hive, id: string, options: ReadLogOptions = {}): AsyncGenerator<LogLine> {
  const { follow = false, signal = new AbortController().signal, onFault, onBack, clock = systemClock } = options;
  let position = '0';
  let begun = false;
  for (let waitMs = FIRST_RETRY_MS; ; waitMs = Math.min(2 * waitMs, LAST_RETRY_MS)) {
    try {
      for await (const part of hive.pool.readTaskLog({ id, follow, after: position }, { signal })) {
        if (begun) onBack?.();
        begun = true;
        waitMs = FIRST_RETRY_MS;
        yield* part.lines;
        position = part.position;
      }
      return;
    } catch (cause) {
      const error = HiveError.from(cause);
      if (!begun || !error.retryable || signal.aborted) throw error;
      onFault?.(error);
      await pause(clock, waitMs, signal);
    }
  }
}
