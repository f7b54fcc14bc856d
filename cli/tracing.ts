import { setTimeout as sleep } from 'node:timers/promises';
import { type Span, SpanStatusCode } from '@opentelemetry/api';
import { invalid, quote } from '../libs/kernel/errors.ts';
import type { Hive } from '../libs/sdk/hive.ts';
import { freshTrace, traceOfEnvironment, withTrace } from '../libs/sdk/trace-context.ts';
import { sampling } from '../libs/service/config.ts';
import { ATTRIBUTE } from '../libs/telemetry/attributes.ts';
import { toCollector } from '../libs/telemetry/collector.ts';
import { instanceOfProcess } from '../libs/telemetry/instance.ts';
import { traceparentOf, withSpan } from '../libs/telemetry/span.ts';
import { SpanBatches } from '../libs/telemetry/span-batches.ts';
import type { Sampling } from '../libs/telemetry/telemetry.ts';
import { startTracer } from '../libs/telemetry/tracer.ts';

/**
 * What of a command is traced. command: all of it, as the beginning of a trace or a part of the one that it was started
 * in. work: what it does for others, in their traces. none: nothing.
 */
export type Traced = 'command' | 'work' | 'none';

/** The spans of a command. Disposed, it has sent them, and closed the connections by which they went. */
export interface CommandTracing extends AsyncDisposable {
  /** Runs the command within its span, if it has one. A number that it resolves to is its exit code. */
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Sends spans by this connection, and hands out one that does not close it. */
  through(hive: Hive): Promise<Hive>;
}

/** A collector that is down must not hold up a command. */
const LAST_SPANS_MS = 2000;

export async function traceCommand(traced: Traced, env: NodeJS.ProcessEnv): Promise<CommandTracing> {
  const asked = sampled(env);
  if (traced === 'none' || asked === 'off') return UNTRACED;
  const spans = new SpanBatches({ instance: instanceOfProcess() });
  const tracer = await startTracer({
    service: traced === 'command' ? 'hivebus-cli' : 'hivebus-agent',
    instance: instanceOfProcess(),
    traces: traced === 'command' ? (asked ?? 'always') : 0,
    processors: [spans, ...(await toCollector(env))],
  });
  const connections: Hive[] = [];
  return {
    run: (name, work) => (traced === 'command' ? inSpan(name, env, work) : work()),
    async through(hive) {
      connections.push(hive);
      const lent = await hive.as(hive.identity);
      spans.sendBy(lent.sendSpans);
      return lent;
    },
    async [Symbol.asyncDispose]() {
      await Promise.race([tracer[Symbol.asyncDispose](), sleep(LAST_SPANS_MS, undefined, { ref: false })]);
      await Promise.all(connections.map((hive) => hive.close()));
    },
  };
}

const UNTRACED: CommandTracing = {
  run: (_, work) => work(),
  through: async (hive) => hive,
  [Symbol.asyncDispose]: async () => {},
};

function sampled(env: NodeJS.ProcessEnv): Sampling | undefined {
  const { name, rule, parse } = sampling;
  const text = env[name]?.trim() ?? '';
  const value = text === '' ? undefined : parse(text);
  if (text !== '' && value === undefined) throw invalid([{ field: name, value: quote(text), rule }]);
  return value;
}

function inSpan<T>(name: string, env: NodeJS.ProcessEnv, work: () => Promise<T>): Promise<T> {
  const outer = traceOfEnvironment(env);
  const { correlationId, hops } = outer ?? freshTrace();
  const attributes = {
    [ATTRIBUTE.executable]: 'hivebus',
    [ATTRIBUTE.pid]: process.pid,
    [ATTRIBUTE.correlationId]: correlationId,
  };
  return withSpan(`hivebus ${name}`, { parent: outer?.traceparent ?? '', attributes }, (span) =>
    withTrace({ traceparent: traceparentOf(span, ''), correlationId, hops }, async () => {
      const result = await work();
      if (typeof result === 'number') tellExit(span, result);
      return result;
    }),
  );
}

function tellExit(span: Span, code: number): void {
  span.setAttribute(ATTRIBUTE.exitCode, code);
  if (code !== 0) span.setStatus({ code: SpanStatusCode.ERROR, message: `exit code ${code}` });
}
