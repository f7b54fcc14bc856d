import { metrics } from '@opentelemetry/api';
import { systemClock } from '../../libs/kernel/clock.ts';
import { ANONYMOUS } from '../../libs/protocol/principal.ts';
import { type Authenticate, createAuthenticator } from '../../libs/rpc/authenticate.ts';
import { bind } from '../../libs/rpc/binding.ts';
import type { Service, ServiceDeps } from '../../libs/service/run-service.ts';
import { TelemetryServiceService } from '../../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { telemetryApi } from './api.ts';
import type { RingBounds } from './core/span-ring.ts';
import { SpanStore } from './core/span-store.ts';

export interface TelemetryConfig {
  readonly spans: RingBounds;
}

export interface TelemetryService extends Service {
  /** For spans of this process. */
  readonly store: SpanStore;
}

/** Keeps the newest spans in this process's memory. One on a bus: several would each have a part of every trace. */
export function createTelemetry(config: TelemetryConfig, deps: Pick<ServiceDeps, 'operatorKey'>): TelemetryService {
  const store = new SpanStore(config.spans);
  const meter = metrics.getMeter('hivebus');
  const taken = meter.createCounter('telemetry_spans_total', { description: 'Spans that others handed in, by sender' });
  const kept = meter.createObservableGauge('telemetry_spans', { description: 'Spans that are kept' });
  kept.addCallback((result) => result.observe(store.size));
  const bytes = meter.createObservableGauge('telemetry_span_bytes', { description: 'Bytes of spans that are kept' });
  bytes.addCallback((result) => result.observe(store.bytes));
  const api = telemetryApi(store, (spans, sender) => taken.add(spans, { sender }));
  return {
    store,
    binding: bind('telemetry', TelemetryServiceService, () => api),
    authenticate: lenient(
      createAuthenticator({ operatorKey: deps.operatorKey, swarmKey: () => undefined }, systemClock),
    ),
    ready: async () => {},
    check: () => undefined,
    [Symbol.asyncDispose]: async () => {},
  };
}

/** Alone it knows operators only. Whoever it cannot tell from a stranger is one, and may send and read all the same. */
const lenient =
  (authenticate: Authenticate): Authenticate =>
  (token, federation) => {
    try {
      const principal = authenticate(token, federation);
      return principal.kind === 'operator' ? principal : ANONYMOUS;
    } catch {
      return ANONYMOUS;
    }
  };
