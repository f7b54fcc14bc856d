import { homedir } from 'node:os';
import { join } from 'node:path';
import type { BusAccess } from '../bus/access.ts';
import { invalid } from '../kernel/errors.ts';
import { namesCollector } from '../telemetry/collector.ts';
import type { Sampling } from '../telemetry/sampling.ts';
import { BUS_ACCESS_NAMES, readBusAccess } from './bus-access.ts';
import {
  bytes,
  duration,
  httpUrl,
  natsUrls,
  oneOf,
  port,
  readSettings,
  type Setting,
  text,
  unknownNames,
  type Values,
  wholeNumberOf,
} from './settings.ts';

/** Default bounds of what the keeper of traces keeps. */
export const SPANS_KEPT = { maxSpans: 50_000, maxBytes: 32 << 20 } as const;

const OTLP_PROTOCOLS = ['http/protobuf', 'http/json', 'grpc'] as const;
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** HIVEBUS_TRACES, which commands read, too. */
export const sampling: Setting<Sampling | undefined> = {
  name: 'HIVEBUS_TRACES',
  fallback: undefined,
  rule: 'must be off, always, or the part of traces that is sampled, such as 0.01',
  parse: (value) => {
    if (value === 'off' || value === 'always') return value;
    const part = /^(0|1|0?\.\d{1,9}|1\.0*)$/.test(value) ? Number(value) : Number.NaN;
    if (part === 0) return 'off';
    return part === 1 ? 'always' : part < 1 ? part : undefined;
  },
};

/** Every environment variable of a service, in one place. Ports that are not set are not opened. */
const settings = (defaults: ServiceDefaults) => ({
  /** Where the bus is. */
  nats: natsUrls('HIVEBUS_NATS', ['nats://127.0.0.1:4222'] as readonly string[]),
  /** How long to wait at the start for a bus that is not there yet, in milliseconds. */
  busWaitMs: duration('HIVEBUS_NATS_WAIT', 60_000),
  /** Address that servers bind. */
  host: text('HIVEBUS_HOST', '127.0.0.1'),
  grpcPort: port('HIVEBUS_GRPC_PORT', defaults.grpcPort),
  /** HTTP for /livez and /readyz. */
  healthPort: port('HIVEBUS_HEALTH_PORT', undefined),
  /** HTTP for Prometheus. */
  metricsPort: port('HIVEBUS_METRICS_PORT', undefined),
  /** Where keys lie. */
  home: text('HIVEBUS_HOME', defaults.home ?? join(homedir(), '.config', 'hivebus')),
  /** A folder of `<name>.pub` files: the operators. Not set: `<home>/operators`. */
  operatorKeys: text('HIVEBUS_OPERATOR_KEYS', undefined),
  /** Copies of journals on a NATS cluster. */
  replicas: wholeNumberOf(1, 5)('HIVEBUS_REPLICAS', 1),
  /** How long stopping may take before the process ends anyway, in milliseconds. */
  stopMs: duration('HIVEBUS_STOP_TIMEOUT', 30_000),
  log: oneOf(LOG_LEVELS)('HIVEBUS_LOG', 'info'),
  traces: sampling,
  /** A collector of spans. The exporter reads these variables and their kin (headers, batches) by itself. */
  otlpEndpoint: httpUrl('OTEL_EXPORTER_OTLP_ENDPOINT', undefined),
  otlpTracesEndpoint: httpUrl('OTEL_EXPORTER_OTLP_TRACES_ENDPOINT', undefined),
  otlpProtocol: oneOf(OTLP_PROTOCOLS)('OTEL_EXPORTER_OTLP_PROTOCOL', undefined),
  otlpTracesProtocol: oneOf(OTLP_PROTOCOLS)('OTEL_EXPORTER_OTLP_TRACES_PROTOCOL', undefined),
  /** `none`: no collector, whatever the endpoint. */
  otlpExporter: oneOf(['otlp', 'none'] as const)('OTEL_TRACES_EXPORTER', undefined),
  /** How many spans the keeper of traces keeps, */
  maxSpans: wholeNumberOf(100, 10_000_000)('HIVEBUS_TRACE_SPANS', SPANS_KEPT.maxSpans),
  /** and how many bytes of them. */
  maxSpanBytes: bytes('HIVEBUS_TRACE_BYTES', SPANS_KEPT.maxBytes),
});

export interface ServiceDefaults {
  readonly grpcPort: number;
  /** Embedded mode keeps its keys with its data. */
  readonly home?: string;
  /** When neither HIVEBUS_TRACES nor a collector is named; default off. */
  readonly traces?: Sampling;
}

type Settings = Values<ReturnType<typeof settings>>;

export interface ServiceConfig extends Omit<Settings, 'traces'> {
  /** How we log in there, and know that it is the right one. */
  readonly busAccess: BusAccess;
  readonly traces: Sampling;
}

/** Read elsewhere: by the CLI, the SDK, setup and the embedded server, or set for the commands that agents run. */
const ELSEWHERE = [
  ...['FEDERATION', 'CONTEXT', 'AS', 'OPERATOR', 'DEBUG', 'NATS_SERVER', 'NATS_SERVER_CURRENT', 'REDIS_SERVER', 'ETCD'],
  ...['TASK_ID', 'ATTEMPT', 'SWARM', 'AGENT', 'TYPE', 'TITLE', 'TIMEOUT_MS', 'CORRELATION_ID', 'HOPS', 'TASK_MARK'],
  ...['CHECKPOINT', 'CHECKPOINT_FD', 'ARTEFACTS'],
].map((name) => `HIVEBUS_${name}`);

/**
 * Refuses variables HIVEBUS_… that nobody reads, for a program that reads only some of the others.
 * @throws HiveError INVALID_ARGUMENT with every one at once.
 */
export function refuseUnknown(env: NodeJS.ProcessEnv): void {
  const own = Object.values(settings({ grpcPort: 0 })).map(({ name }) => name);
  const faults = unknownNames(env, [...own, ...ELSEWHERE, ...BUS_ACCESS_NAMES]);
  if (faults.length > 0) throw invalid(faults);
}

/** Reads a service's configuration. Only mains call it; everything else takes what it needs as an argument. */
export function readConfig(env: NodeJS.ProcessEnv, defaults: ServiceDefaults): ServiceConfig {
  const read = readSettings(env, settings(defaults), [...ELSEWHERE, ...BUS_ACCESS_NAMES]);
  const byDefault = namesCollector(env) ? 'always' : (defaults.traces ?? 'off');
  return { ...read, busAccess: readBusAccess(env), traces: read.traces ?? byDefault };
}
