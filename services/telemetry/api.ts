import { HiveError, quote } from '../../libs/kernel/errors.ts';
import { describePrincipal } from '../../libs/protocol/principal.ts';
import type { Api } from '../../libs/rpc/api.ts';
import type { GetTraceRequest, TelemetryServiceService } from '../../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import type { SpanStore } from './core/span-store.ts';
import * as check from './validation.ts';

const DEFAULT_LIMIT = 20;

/** The methods, the same for every federation: a trace may go through several. `taken` is told of what was handed in. */
export function telemetryApi(
  store: SpanStore,
  taken: (spans: number, sender: string) => void,
): Api<TelemetryServiceService> {
  return {
    async exportSpans({ spans }, { principal }) {
      check.checkSpans(spans);
      const sender = describePrincipal(principal);
      for (const span of spans) store.add(span, sender);
      taken(spans.length, principal.kind);
      return {};
    },
    async getTrace(request) {
      check.checkQuestion(request);
      const traceId = idOf(store, request);
      const found = traceId === undefined ? undefined : store.trace(traceId, request.pageToken);
      if (!found) throw notKept(request);
      return { ...found, spans: [...found.spans] };
    },
    async listTraces(request) {
      check.checkListing(request);
      return { traces: store.summaries(request.limit || DEFAULT_LIMIT) };
    },
  };
}

function idOf(store: SpanStore, { traceId, correlationId, last }: GetTraceRequest): string | undefined {
  if (last) return store.lastProgram();
  return correlationId === '' ? traceId : store.ofCorrelation(correlationId);
}

function notKept({ traceId, correlationId, last }: GetTraceRequest): HiveError {
  const why = 'it was not sampled, is not over, or gave way to newer ones';
  if (last) return new HiveError('NOT_FOUND', 'no trace of a command of hivebus is kept');
  const what = correlationId === '' ? `trace ${quote(traceId)}` : `trace with correlation id ${quote(correlationId)}`;
  return new HiveError('NOT_FOUND', `no ${what} is kept: ${why}`);
}
