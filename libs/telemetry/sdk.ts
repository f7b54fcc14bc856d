import { createServer, type Server } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { metrics } from '@opentelemetry/api';
import { PrometheusExporter } from '@opentelemetry/exporter-prometheus';
import { NodeSDK, resources, type tracing } from '@opentelemetry/sdk-node';
import { listen } from '../service/listen.ts';
import { toCollector } from './collector.ts';
import { instanceOfProcess } from './instance.ts';
import { createObserve } from './observe.ts';
import type { Telemetry, TelemetryOptions } from './options.ts';
import { keepsTrace, type Sampling, samplerFor } from './sampling.ts';
import { traceIds } from './trace-ids.ts';

/** A collector that is down must not hold up or fail a stop; an exporter's own tries take 8 s and more. */
const LAST_SPANS_MS = 2000;

/** Loaded lazily by telemetry.ts, and by nothing else. */
export async function startSdk(options: TelemetryOptions): Promise<Telemetry> {
  const { service, instance = instanceOfProcess(), traces, metricsPort, host = '127.0.0.1' } = options;
  const exporter = metricsPort === undefined ? undefined : new PrometheusExporter({ preventServerStart: true });
  const server = exporter && createServer(metricsHandler(exporter));
  const port = server && (await listen(server, host, metricsPort ?? 0, 'HIVEBUS_METRICS_PORT'));
  const sdk = new NodeSDK({
    resource: resources.resourceFromAttributes({ 'service.name': service, 'service.instance.id': instance }),
    resourceDetectors: [resources.envDetector], // OTEL_SERVICE_NAME, OTEL_RESOURCE_ATTRIBUTES
    instrumentations: [], // no module is patched: our adaptors make the spans
    metricReaders: exporter ? [exporter] : [],
    logRecordProcessors: [],
    idGenerator: traceIds,
    ...(await tracesConfig(traces, options.spanProcessors ?? [])),
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

/** Spans go to all that is given and to the collector, if the environment names one. */
async function tracesConfig(traces: Sampling, processors: readonly tracing.SpanProcessor[]) {
  if (traces === 'off') return { spanProcessors: [] };
  return { sampler: samplerFor(traces), spanProcessors: [...processors, ...(await toCollector(process.env))] };
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
