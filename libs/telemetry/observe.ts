import { type Attributes, type Histogram, type Meter, SpanKind, trace, type UpDownCounter } from '@opentelemetry/api';
import { HiveError } from '../kernel/errors.ts';
import { merged } from '../kernel/merged.ts';
import { rpcSubject } from '../protocol/subjects.ts';
import { isBackground, type Observe, type Observed } from '../rpc/observe.ts';
import { ATTRIBUTE } from './attributes.ts';
import { withSpan } from './span.ts';
import { isSampled } from './traceparent.ts';

/** Spans about the sending of spans would never end. */
const UNTRACED = 'telemetry';

export interface ObserveOptions {
  /** Where times go; undefined = nowhere. */
  readonly meter: Meter | undefined;
  /** Is the trace kept that a call came with? For one that is not, no span is even made. */
  readonly keeps: (traceparent: string) => boolean;
}

/** Spans, times and outcomes of calls, for both sides and both transports. */
export function createObserve({ meter, keeps }: ObserveOptions): Observe {
  const measures = meter && measuresOf(meter);
  return (info, run) => {
    const { traceparent } = info.trace;
    const isOurs = info.service === UNTRACED || isBackground(info.trace);
    const isKept = !isOurs && (trace.getActiveSpan() || keeps(traceparent));
    const inSpan = isKept ? () => spanned(info, run) : run;
    return measures ? measured(measures, labelsOf(info), inSpan) : inSpan();
  };
}

interface Measures {
  readonly seconds: Histogram;
  readonly active: UpDownCounter;
}

function measuresOf(meter: Meter): Measures {
  const seconds = meter.createHistogram('rpc_seconds', {
    description: 'Time of a call by side, transport, method and outcome; of a stream until its end',
    unit: 's',
    advice: {
      explicitBucketBoundaries: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10],
    },
  });
  const active = meter.createUpDownCounter('rpc_active', {
    description: 'Calls and streams that are running, by side, transport and method',
  });
  return { seconds, active };
}

const labelsOf = ({ side, transport, service, method }: Observed): Attributes => ({ side, transport, service, method });

function spanned<T>(info: Observed, run: () => Promise<T>): Promise<T> {
  const isServer = info.side === 'server';
  const options = {
    kind: isServer ? SpanKind.SERVER : SpanKind.CLIENT,
    // A client goes on from what is done here, a server from what it was sent.
    ...((isServer || !trace.getActiveSpan()) && { parent: info.trace.traceparent }),
    attributes: attributesOf(info),
  };
  return withSpan(info.fullName, options, async (span) => {
    try {
      const answer = await run();
      span.setAttribute(ATTRIBUTE.rpcStatus, 'OK');
      return answer;
    } catch (error) {
      span.setAttribute(ATTRIBUTE.rpcStatus, HiveError.from(error).code);
      throw error;
    }
  });
}

function attributesOf({ side, transport, service, method, fullName, federation, trace }: Observed): Attributes {
  const rpc = {
    [ATTRIBUTE.rpcSystem]: transport === 'grpc' ? 'grpc' : 'hivebus',
    [ATTRIBUTE.rpcMethod]: fullName,
    ...(side === 'server' && { [ATTRIBUTE.service]: service }),
    [ATTRIBUTE.federation]: federation,
    [ATTRIBUTE.correlationId]: trace.correlationId,
  };
  if (transport === 'grpc') return rpc;
  const subject = rpcSubject(federation, service, method);
  return { ...rpc, [ATTRIBUTE.messagingSystem]: 'nats', [ATTRIBUTE.destination]: subject };
}

async function measured<T>({ seconds, active }: Measures, labels: Attributes, run: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  let code = 'OK';
  active.add(1, labels);
  try {
    return await run();
  } catch (error) {
    code = HiveError.from(error).code;
    throw error;
  } finally {
    active.add(-1, labels);
    seconds.record((performance.now() - startedAt) / 1000, merged(labels, { code }));
  }
}

/** Spans of calls, for clients that do not begin traces: only what somebody has sampled is followed. */
export const followTraces: Observe = createObserve({ meter: undefined, keeps: isSampled });
