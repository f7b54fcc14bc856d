import { setTimeout as sleep } from 'node:timers/promises';
import type { NatsConnection } from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';

const tries = new WeakMap<NatsConnection, () => Promise<void>>();

/** `attempt` connects as `nc` was connected, and closes that at once. */
export const tryBy = (nc: NatsConnection, attempt: () => Promise<void>): void => void tries.set(nc, attempt);

/** So long a connection is down before it is asked why, and then again and again, in milliseconds. */
const EXPLAIN_MS = 3000;

/**
 * While the connection is down, calls `tell` with why it cannot be made anew, each time that this changes: the client tries
 * on without a word. Until it is closed.
 */
export async function explainOutages(nc: NatsConnection, tell: (error: HiveError) => void): Promise<void> {
  let outage: AbortController | undefined;
  for await (const { type } of nc.status()) {
    if (type !== 'disconnect' && type !== 'reconnect' && type !== 'close') continue;
    outage?.abort();
    outage = type === 'disconnect' ? new AbortController() : undefined;
    if (outage) void explain(nc, tell, outage.signal);
  }
  outage?.abort();
}

async function explain(nc: NatsConnection, tell: (error: HiveError) => void, signal: AbortSignal): Promise<void> {
  let told = '';
  for (;;) {
    await sleep(EXPLAIN_MS, undefined, { signal, ref: false }).catch(() => {});
    if (signal.aborted) return;
    const error = await tries
      .get(nc)?.()
      .then(() => undefined, HiveError.from);
    if (signal.aborted || !error || error.message === told) continue;
    told = error.message;
    tell(error);
  }
}
