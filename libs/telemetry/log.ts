import { trace as tracing } from '@opentelemetry/api';
import { type Logger, pino } from 'pino';
import type { Trace } from '../protocol/machine.ts';
import { prettyPrinter } from './pretty-printer.ts';
import { parseTraceparent } from './traceparent.ts';

export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent';

export interface LogOptions {
  readonly service: string;
  readonly level: LogLevel;
  /** Takes finished lines; default: standard error. */
  readonly write?: (line: string) => void;
  /** Short lines for people instead of JSON; default: when standard error is a terminal. */
  readonly pretty?: boolean;
}

/**
 * A logger whose lines carry trace_id, span_id and correlation_id: of the `trace` that is among the fields
 * (`log.info({ trace: call.trace }, '…')`), else of the active span.
 */
export function createLogger(options: LogOptions): Logger {
  const { service, level, pretty = process.stderr.isTTY === true } = options;
  const print = prettyPrinter(process.stderr.isTTY === true);
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  return pino(
    {
      level,
      base: { service },
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }), log: withTraceIds },
    },
    { write: pretty ? (line: string) => write(print(line)) : write },
  );
}

/** A logger as the journal and its kin take it. */
export const logFunction =
  (logger: Logger) =>
  (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields: object = {}): void =>
    logger[level](fields, message);

function withTraceIds(fields: Record<string, unknown>): Record<string, unknown> {
  const { trace, ...rest } = fields;
  const given = isTrace(trace) ? trace : undefined;
  const span = given ? parseTraceparent(given.traceparent) : tracing.getActiveSpan()?.spanContext();
  if (span) Object.assign(rest, { trace_id: span.traceId, span_id: span.spanId });
  if (given?.correlationId) Object.assign(rest, { correlation_id: given.correlationId });
  return rest;
}

const isTrace = (value: unknown): value is Trace =>
  typeof value === 'object' && value !== null && 'correlationId' in value;
