import { homedir } from 'node:os';
import { join } from 'node:path';
import type { BusAccess } from '../bus/access.ts';
import { invalid, quote } from '../kernel/errors.ts';
import type { Sampling } from '../telemetry/telemetry.ts';
import { BUS_ACCESS_NAMES, readBusAccess } from './bus-access.ts';
import {
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

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const sampling: Setting<Sampling | undefined> = {
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
  /** Where spans go. The exporter reads this variable and its kin (headers, protocol) by itself. */
  otlpEndpoint: httpUrl('OTEL_EXPORTER_OTLP_ENDPOINT', undefined),
});

export interface ServiceDefaults {
  readonly grpcPort: number;
  /** Embedded mode keeps its keys with its data. */
  readonly home?: string;
}

type Settings = Values<ReturnType<typeof settings>>;

export interface ServiceConfig extends Omit<Settings, 'traces'> {
  /** How we log in there, and know that it is the right one. */
  readonly busAccess: BusAccess;
  readonly traces: Sampling;
}

/** Read elsewhere: by the CLI, the SDK, setup and the embedded server, or set for the commands that agents run. */
const ELSEWHERE = [
  ...['FEDERATION', 'AS', 'OPERATOR', 'DEBUG', 'NATS_SERVER', 'REDIS_SERVER', 'ETCD'],
  ...['TASK_ID', 'ATTEMPT', 'SWARM', 'AGENT', 'TYPE', 'TITLE', 'TIMEOUT_MS', 'CORRELATION_ID', 'HOPS', 'TASK_MARK'],
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
  const { otlpEndpoint } = read;
  const busAccess = readBusAccess(env);
  const traces = read.traces ?? (otlpEndpoint ? 'always' : 'off');
  if (traces === 'off' || otlpEndpoint) return { ...read, busAccess, traces };
  const rule = 'needs OTEL_EXPORTER_OTLP_ENDPOINT, to know where spans go';
  throw invalid([{ field: 'HIVEBUS_TRACES', value: quote(traces), rule }]);
}
