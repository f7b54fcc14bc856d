import { context, trace } from '@opentelemetry/api';
import type { tracing } from '@opentelemetry/sdk-node';
import { type Sampling, samplerFor } from './sampling.ts';
import { traceIds } from './trace-ids.ts';

export interface TracerOptions {
  /** As in `service.name`. */
  readonly service: string;
  readonly instance: string;
  readonly traces: Exclude<Sampling, 'off'>;
  readonly processors: readonly tracing.SpanProcessor[];
}

/**
 * Traces alone, for commands and agents: a third of what the whole SDK takes to load. Once per process; disposing it
 * sends what is left.
 */
export async function startTracer({ service, instance, traces, processors }: TracerOptions): Promise<AsyncDisposable> {
  const [{ BasicTracerProvider }, { AsyncLocalStorageContextManager }, resources] = await Promise.all([
    import('@opentelemetry/sdk-trace-base'),
    import('@opentelemetry/context-async-hooks'),
    import('@opentelemetry/resources'),
  ]);
  const own = resources.resourceFromAttributes({ 'service.name': service, 'service.instance.id': instance });
  const named = resources.detectResources({ detectors: [resources.envDetector] }); // OTEL_SERVICE_NAME and its kin
  const provider = new BasicTracerProvider({
    resource: own.merge(named),
    sampler: samplerFor(traces),
    idGenerator: traceIds,
    spanProcessors: [...processors],
  });
  context.setGlobalContextManager(new AsyncLocalStorageContextManager().enable());
  trace.setGlobalTracerProvider(provider);
  return { [Symbol.asyncDispose]: () => provider.shutdown() };
}
