import type { tracing } from '@opentelemetry/sdk-node';
import type { Observe } from '../rpc/observe.ts';
import type { Sampling } from './sampling.ts';

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
