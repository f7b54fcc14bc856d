import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { rawHeaders } from '../bus/raw-headers.ts';
import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import type { Rng } from '../kernel/rng.ts';
import { encodeLines, eventLines, HEADERS, traceLines } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import type { RequestIds } from '../protocol/request-ids.ts';
import type { RepeatBudget } from './repeat-budget.ts';
import type { StreamProbes } from './stream-probe.ts';

/** What all calls of one client share. */
export interface BusPeer {
  readonly nc: NatsConnection;
  readonly service: string;
  readonly federation: string;
  /** Names the client in `ce-source`. */
  readonly source: string;
  readonly ids: RequestIds;
  /** For calls that are sent again. */
  readonly repeats: RepeatBudget;
  /** For streams. */
  readonly probes: StreamProbes;
  readonly token: () => string;
  readonly trace: () => Trace | undefined;
  readonly clock: Clock;
  readonly rng: Rng;
  /** First wait for an answer before asking again, in milliseconds; doubles each time. */
  readonly attemptMs: number;
  readonly patienceMs: number;
}

/** The headers of a request of `type` but for those of one attempt. */
export function requestLines(
  peer: Pick<BusPeer, 'source' | 'clock'>,
  type: string,
  trace: Trace,
  token: string,
  id: string,
): string {
  const authorization = token === '' ? '' : `${HEADERS.authorization}: Bearer ${token}\r\n`;
  const event = { id, type, source: peer.source, timeMs: peer.clock.now() };
  return eventLines(event) + traceLines(trace) + authorization;
}

/** Publishes a request whose headers are these lines. Throws RESOURCE_EXHAUSTED for one that the bus cannot carry. */
export function publishRequest(nc: NatsConnection, subject: string, body: Buffer, lines: string, reply: string): void {
  const headers = encodeLines(lines);
  const limit = nc.info?.max_payload ?? Number.POSITIVE_INFINITY;
  if (body.length + headers.length > limit) {
    const message = `the request has ${body.length} bytes and ${headers.length} of headers, the bus carries ${limit}`;
    throw new HiveError('RESOURCE_EXHAUSTED', `${message}: send less at once, or use gRPC`, { reason: 'TOO_LARGE' });
  }
  sending(() => nc.publish(subject, body, { headers: rawHeaders(headers), reply }));
}

export const nobodyServes = ({ service, federation }: BusPeer): HiveError =>
  new HiveError('UNAVAILABLE', `nothing serves ${service} on this bus (federation ${federation}); is hivebus up?`, {
    reason: 'NO_RESPONDERS',
  });

/** Does what a closed connection refuses; that is UNAVAILABLE, and stays so. */
export function sending<T>(run: () => T): T {
  try {
    return run();
  } catch (cause) {
    const message = `cannot send to the bus: ${cause instanceof Error ? cause.message : String(cause)}`;
    throw new HiveError('UNAVAILABLE', message, { cause, retryable: false, reason: 'BUS_CLOSED' });
  }
}

export const gaveUp = (): HiveError => new HiveError('CANCELLED', 'the caller gave up');

/** What was answered: as a message of its own, or as a part of one. */
export type Answer = Msg | { readonly value: unknown };
