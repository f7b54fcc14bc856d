import { createServer, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { NodeSDK, tracing } from '@opentelemetry/sdk-node';
import { listen } from '../service/listen.ts';
import { createObserve } from './observe.ts';
import { keepsTrace, keepsTraceId } from './sampling.ts';
import type { Sampling, Telemetry, TelemetryOptions } from './telemetry.ts';

/** A collector that is down must not hold up or fail a stop; an exporter's own tries take 8 s and more. */
const LAST_SPANS_MS = 2000;

/** Loaded lazily by telemetry.ts, and by nothing else. */
export async function startSdk(options: TelemetryOptions): Promise<Telemetry> {
  const { service, traces, metricsPort, host = '127.0.0.1' } = options;
  const exporter = metricsPort === undefined ? undefined : new PrometheusExporter({ preventServerStart: true });
  const server = exporter && createServer(metricsHandler(exporter));
  const port = server && (await listen(server, host, metricsPort ?? 0, 'HIVEBUS_METRICS_PORT'));
  const sdk = new NodeSDK({
    serviceName: service,
    autoDetectResources: false,
    instrumentations: [], // no module is patched: our adaptors make the spans
    metricReaders: exporter ? [exporter] : [],
    logRecordProcessors: [],
    ...tracesConfig(traces, options.spanProcessor),
  });
  sdk.start();
  return {
    observe: createObserve({
      meter: exporter && metrics.getMeter('hivebus'),
      keeps: (traceparent) => traces !== 'off' && keepsTrace(traceparent, traces),
    }),
    metricsPort: port,
    [Symbol.asyncDispose]: async () => {
      await close(server);
      await Promise.race([sdk.shutdown().catch(() => {}), sleep(LAST_SPANS_MS, undefined, { ref: false })]);
    },
  };
}

function tracesConfig(traces: Sampling, processor: tracing.SpanProcessor | undefined) {
  if (traces === 'off') return { spanProcessors: [] };
  return { sampler: samplerFor(traces), ...(processor && { spanProcessors: [processor] }) };
}

/** A sampled parent is followed; an unsampled remote one decides nothing, see sampling.ts. */
function samplerFor(traces: 'always' | number): tracing.Sampler {
  const own = traces === 'always' ? new tracing.AlwaysOnSampler() : ratioSampler(traces);
  return new tracing.ParentBasedSampler({ root: own, remoteParentNotSampled: own });
}

function ratioSampler(ratio: number): tracing.Sampler {
  const { RECORD_AND_SAMPLED, NOT_RECORD } = tracing.SamplingDecision;
  return {
    shouldSample: (_context, traceId) => ({ decision: keepsTraceId(traceId, ratio) ? RECORD_AND_SAMPLED : NOT_RECORD }),
    toString: () => `ratio ${ratio}`,
  };
}

const metricsHandler =
  (exporter: PrometheusExporter): Parameters<typeof createServer>[1] =>
  (request, response) => {
    if (request.url?.split('?', 1)[0] === '/metrics') return exporter.getMetricsRequestHandler(request, response);
    response.writeHead(404).end('metrics are at /metrics\n');
  };

async function close(server: Server | undefined): Promise<void> {
  if (!server) return;
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
}
