import type { tracing } from '@opentelemetry/sdk-node';
import type { Observe } from '../rpc/observe.ts';

/** `off`, `always`, or which part of traces is sampled, below 1; 0 = those that somebody else has sampled. */
export type Sampling = 'off' | 'always' | number;

export interface TelemetryOptions {
  /** Name of the process in traces and metrics, e.g. `hivebus-registry`. */
  readonly service: string;
  readonly traces: Sampling;
  /** Names this process among those of its service; default: by host and process id. */
  readonly instance?: string;
  /** Where spans go, beside the collector that the standard OTEL_EXPORTER_OTLP_* variables name. */
  readonly spanProcessors?: readonly tracing.SpanProcessor[];
  /** Serves /metrics for Prometheus there; 0 = any free port. Not set: no metrics. */
  readonly metricsPort?: number | undefined;
  readonly host?: string;
}

/** Disposing it sends what is left and stops. */
export interface Telemetry extends AsyncDisposable {
  /** For the RPC adaptors; undefined when there is nothing to observe for. */
  readonly observe: Observe | undefined;
  readonly metricsPort: number | undefined;
}

const OFF: Telemetry = {
  observe: undefined,
  metricsPort: undefined,
  [Symbol.asyncDispose]: async () => {},
};

/**
 * Starts traces and metrics for this process, once, before anything makes instruments.
 * Off costs nothing: the SDK (25 MB, a quarter of a second) is loaded only when something of it is wanted.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  if (options.traces === 'off' && options.metricsPort === undefined) return OFF;
  const { startSdk } = await import('./sdk.ts');
  return startSdk(options);
}
