import type { tracing } from '@opentelemetry/sdk-node';
import { HiveError, quote } from '../kernel/errors.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** Does the environment name a collector? The exporters read these variables and their kin by themselves. */
export const namesCollector = (env: Environment): boolean =>
  Boolean(env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT) &&
  env.OTEL_TRACES_EXPORTER !== 'none' &&
  env.OTEL_SDK_DISABLED !== 'true';

/** What sends spans to the collector that the standard OTEL_* variables name; nothing when they name none. */
export async function toCollector(env: Environment): Promise<tracing.SpanProcessor[]> {
  if (!namesCollector(env)) return [];
  const [{ BatchSpanProcessor }, exporter] = await Promise.all([
    import('@opentelemetry/sdk-trace-base'),
    exporterFor(env.OTEL_EXPORTER_OTLP_TRACES_PROTOCOL || env.OTEL_EXPORTER_OTLP_PROTOCOL || 'http/protobuf'),
  ]);
  return [new BatchSpanProcessor(exporter)];
}

/** Each is loaded only where it is used. */
async function exporterFor(protocol: string): Promise<tracing.SpanExporter> {
  switch (protocol) {
    case 'http/protobuf':
      return new (await import('@opentelemetry/exporter-trace-otlp-proto')).OTLPTraceExporter();
    case 'http/json':
      return new (await import('@opentelemetry/exporter-trace-otlp-http')).OTLPTraceExporter();
    case 'grpc':
      return new (await import('@opentelemetry/exporter-trace-otlp-grpc')).OTLPTraceExporter();
    default: {
      const rule = 'must be http/protobuf, http/json or grpc';
      throw new HiveError('INVALID_ARGUMENT', `OTEL_EXPORTER_OTLP_PROTOCOL: ${quote(protocol)} ${rule}`);
    }
  }
}
