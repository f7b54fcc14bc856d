import type { NatsConnection } from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';
import type { SendSpans } from '../telemetry/span-batches.ts';
import { TelemetryServiceService } from '../wire/hivebus/telemetry/v1/telemetry.ts';
import { createBusClient } from './bus-client.ts';
import { BACKGROUND } from './observe.ts';

const TIMEOUT_MS = 1000;

export interface SpanSenderOptions {
  readonly federation?: string;
  /** A valid token at any time; left out: anonymous. */
  readonly token?: () => string;
}

/** Hands spans to whoever keeps them on this bus, and gives up at once when nobody does. */
export function spanSender(nc: NatsConnection, { federation = 'main', token }: SpanSenderOptions = {}): SendSpans {
  const options = { federation, clientId: 'spans', patienceMs: 0 };
  const anonymous = createBusClient(nc, 'telemetry', TelemetryServiceService, options);
  const proven = token ? createBusClient(nc, 'telemetry', TelemetryServiceService, { ...options, token }) : anonymous;
  return async (spans) => {
    const request = { spans: [...spans] };
    const options = { timeoutMs: TIMEOUT_MS, trace: BACKGROUND }; // no event of whatever span is active here
    try {
      await proven.exportSpans(request, options);
    } catch (error) {
      if (!isRefused(error)) throw error;
      await anonymous.exportSpans(request, options);
    }
  };
}

/** A call with a token that is not accepted is worth a look, too. */
const isRefused = (error: unknown): boolean =>
  error instanceof HiveError && (error.code === 'UNAUTHENTICATED' || error.code === 'PERMISSION_DENIED');
