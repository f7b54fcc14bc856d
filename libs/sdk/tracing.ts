import { setTimeout as sleep } from 'node:timers/promises';
import type { Span } from '@opentelemetry/api';
import { invalid, quote } from '../kernel/errors.ts';
import type { Trace } from '../protocol/machine.ts';
import { sampling } from '../service/config.ts';
import { ATTRIBUTE } from '../telemetry/attributes.ts';
import { toCollector } from '../telemetry/collector.ts';
import { instanceOfProcess } from '../telemetry/instance.ts';
import type { Sampling } from '../telemetry/sampling.ts';
import { traceparentOf, withSpan } from '../telemetry/span.ts';
import { SpanBatches } from '../telemetry/span-batches.ts';
import { startTracer } from '../telemetry/tracer.ts';
import type { Hive } from './hive.ts';
import { freshTrace, traceOfEnvironment, withTrace } from './trace-context.ts';

export interface TracingOptions {
  /** The program, as traces show it. */
  readonly service: string;
  /** What is run, as in `process.executable.name`; default: `service`. */
  readonly executable?: string;
  /** Default: what HIVEBUS_TRACES of `env` says, else `always`; 0 = only what somebody else has sampled. */
  readonly traces?: Sampling;
  /** Where HIVEBUS_TRACES, TRACEPARENT and OTEL_EXPORTER_OTLP_… are; default: this process's. */
  readonly env?: NodeJS.ProcessEnv;
}

/** The spans of this program. Disposed, it has sent them, by a connection that must still be open. */
export interface Tracing extends AsyncDisposable {
  /**
   * Runs `work` as one trace that begins with a span of this name, or as a part of the trace in whose TRACEPARENT the
   * program was started: all that is called within it belongs to it. Ends, with the error if there is one, as `work` does.
   */
  run<T>(name: string, work: (trace: Trace, span: Span | undefined) => Promise<T>): Promise<T>;
  /** Spans go by this connection from now on to whoever keeps them on its bus; until then they wait. */
  sendBy(hive: Hive): void;
  /** Resolves when those that have ended were handed in, or dropped because nobody keeps them. */
  flush(): Promise<void>;
}

/** A collector that is down must not hold up a program's end. */
const LAST_SPANS_MS = 2000;

/** Begins to trace, once in a process. INVALID_ARGUMENT when HIVEBUS_TRACES is none of its values. */
export async function startTracing(options: TracingOptions): Promise<Tracing> {
  const { service, executable = service, env = process.env } = options;
  const traces = options.traces ?? sampledBy(env) ?? 'always';
  const outer = traceOfEnvironment(env);
  if (traces === 'off') return untraced(outer);
  const instance = instanceOfProcess();
  const spans = new SpanBatches({ instance });
  const tracer = await startTracer({ service, instance, traces, processors: [spans, ...(await toCollector(env))] });
  return {
    run: (name, work) => inSpan(name, executable, outer, work),
    sendBy: (hive) => spans.sendBy(hive.sendSpans),
    flush: () => spans.forceFlush(),
    [Symbol.asyncDispose]: () =>
      Promise.race([tracer[Symbol.asyncDispose](), sleep(LAST_SPANS_MS, undefined, { ref: false })]),
  };
}

/** One id goes through everything all the same. */
const untraced = (outer: Trace | undefined): Tracing => ({
  run: (_, work) => {
    const trace = outer ?? freshTrace();
    return withTrace(trace, () => work(trace, undefined));
  },
  sendBy: () => {},
  flush: async () => {},
  [Symbol.asyncDispose]: async () => {},
});

/** What HIVEBUS_TRACES says; undefined when it is not set. */
export function sampledBy(env: NodeJS.ProcessEnv): Sampling | undefined {
  const { name, rule, parse } = sampling;
  const text = env[name]?.trim() ?? '';
  const value = text === '' ? undefined : parse(text);
  if (text !== '' && value === undefined) throw invalid([{ field: name, value: quote(text), rule }]);
  return value;
}

function inSpan<T>(
  name: string,
  executable: string,
  outer: Trace | undefined,
  work: (trace: Trace, span: Span) => Promise<T>,
): Promise<T> {
  const { correlationId, hops } = outer ?? freshTrace();
  const attributes = {
    [ATTRIBUTE.executable]: executable,
    [ATTRIBUTE.pid]: process.pid,
    [ATTRIBUTE.correlationId]: correlationId,
  };
  return withSpan(name, { parent: outer?.traceparent ?? '', attributes }, (span) => {
    const trace = { traceparent: traceparentOf(span, ''), correlationId, hops };
    return withTrace(trace, () => work(trace, span));
  });
}
