import { setTimeout as sleep } from 'node:timers/promises';
import { JetStreamApiError, jetstreamManager } from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { systemClock } from '../kernel/clock.ts';
import { HiveError, invalid } from '../kernel/errors.ts';
import { accessOptions, type BusAccess } from './access.ts';
import { tryBy } from './explain-outages.ts';
import { requireGreeting } from './greeting.ts';
import { notPermitted, permissionViolation } from './permission.ts';
import { closeWhenRefused, connectError } from './refusal.ts';
import { type BusStatus, followStatus } from './status.ts';
import { isAtLeast, OLDEST_NATS_SERVER } from './version.ts';

const FIRST_CONNECT_MS = 5000;
const RECONNECT_MS = 100;
/** A connection that was cut without a word (a network that is gone) is noticed after two or three of these. */
const PING_MS = 4000;
const JETSTREAM_MS = 5000;
/** Nobody listens there yet, or it is too busy to greet. */
const MAY_PASS: ReadonlySet<string | undefined> = new Set(['BUS_UNREACHABLE', 'BUS_SILENT']);
/** While a bus that is not there yet is waited for. */
const TRY_AGAIN_MS = 250;

export interface BusOptions {
  /** E.g. `nats://127.0.0.1:4222`; several are members of one cluster, as an array or split by commas. */
  readonly servers: string | readonly string[];
  /** Default: no login, and TLS where the server wants it. */
  readonly access?: BusAccess;
  /** Told to the server, for `nats server report connections`. */
  readonly name: string;
  /** False: do not ask whether JetStream is there, which only services need. Default true. */
  readonly jetStream?: boolean;
  /** Waits so long, in milliseconds, for a bus that is not there yet; default 0. */
  readonly waitMs?: number;
  /** Ends the waiting. */
  readonly signal?: AbortSignal;
  /** Disconnects, reconnects and errors that the server tells, as they come. */
  readonly onStatus?: (status: BusStatus) => void;
}

/**
 * A connection to the bus. Once it stands it is restored for ever, unless the server refuses our login (`givenUp`);
 * before, it fails with UNAVAILABLE naming the address, at once or after `waitMs`. Throws UNAUTHENTICATED when it is
 * refused, UNAVAILABLE and not retryable (NOT_NATS) for what is no NATS server, FAILED_PRECONDITION for a file of `access` that cannot be used, for TLS that fails, and for a server that is
 * too old or has no JetStream.
 */
export async function connectBus(options: BusOptions): Promise<NatsConnection> {
  const servers = typeof options.servers === 'string' ? options.servers.split(',') : [...options.servers];
  if (servers.some((server) => server.includes('@'))) throw loginInAddress();
  const nc = await patientConnect(servers, options);
  try {
    checkVersion(nc, servers);
    if (options.jetStream !== false) await checkJetStream(nc, servers, options);
  } catch (error) {
    await nc.close();
    throw error;
  }
  closeWhenRefused(nc, servers, options.access ?? {});
  tryBy(nc, async () => (await firstConnect(servers, `${options.name}-try`, options.access ?? {})).close());
  if (options.onStatus) void followStatus(nc, options.onStatus);
  return nc;
}

/** The client would take it for part of the host's name. */
function loginInAddress(): HiveError {
  const rule = 'must not hold user and password: they go into HIVEBUS_NATS_USER and HIVEBUS_NATS_PASSWORD_FILE';
  return invalid([{ field: 'servers', value: '"***@…"', rule }]);
}

async function patientConnect(servers: string[], options: BusOptions): Promise<NatsConnection> {
  const { name, access = {}, waitMs = 0, signal, onStatus } = options;
  const giveUpAt = systemClock.monotonic() + waitMs;
  for (let attempt = 1; ; attempt++) {
    try {
      return await firstConnect(servers, name, access);
    } catch (error) {
      const mayPass = error instanceof HiveError && MAY_PASS.has(error.reason);
      if (!mayPass || signal?.aborted || systemClock.monotonic() >= giveUpAt) throw error;
      if (attempt === 1) onStatus?.({ level: 'warn', message: `${error.message}; waiting for it` });
      await sleep(TRY_AGAIN_MS, undefined, { signal }).catch(() => {}); // keeps the process alive, which a clock does not
    }
  }
}

async function firstConnect(servers: string[], name: string, access: BusAccess): Promise<NatsConnection> {
  const proof = accessOptions(access, servers);
  await requireGreeting(servers);
  try {
    return await connect({
      servers,
      name,
      ...proof,
      noAsyncTraces: true, // else each request makes an Error first: 27,000/s instead of 70,000/s
      maxReconnectAttempts: -1,
      ignoreAuthErrorAbort: true, // it would count a refusal of long ago; see closeWhenRefused
      reconnectTimeWait: RECONNECT_MS,
      pingInterval: PING_MS,
      timeout: FIRST_CONNECT_MS,
    });
  } catch (cause) {
    throw connectError(cause, servers, access);
  }
}

function checkVersion(nc: NatsConnection, servers: string[]): void {
  const version = nc.info?.version ?? '0.0.0';
  if (isAtLeast(version, OLDEST_NATS_SERVER)) return;
  const message = `the NATS server at ${servers.join(', ')} is ${version}; ${OLDEST_NATS_SERVER} or later is needed`;
  throw new HiveError('FAILED_PRECONDITION', message, { reason: 'BUS_TOO_OLD' });
}

/** A cluster that has too few servers, or no leader yet, has no JetStream for the moment: that is waited for. */
async function checkJetStream(nc: NatsConnection, servers: string[], options: BusOptions): Promise<void> {
  const { waitMs = 0, signal, onStatus } = options;
  const where = servers.join(', ');
  const giveUpAt = systemClock.monotonic() + waitMs;
  for (let attempt = 1; ; attempt++) {
    try {
      await jetstreamManager(nc, { timeout: JETSTREAM_MS });
      return;
    } catch (cause) {
      const violation = permissionViolation(cause);
      if (violation) throw notPermitted(violation);
      if (!mayComeYet(cause)) throw noJetStream(where, cause);
      const error = new HiveError('UNAVAILABLE', `JetStream at ${where} does not answer: ${String(cause)}`, { cause });
      if (signal?.aborted || systemClock.monotonic() >= giveUpAt) throw error;
      if (attempt === 1) onStatus?.({ level: 'warn', message: `${error.message}; waiting for it` });
      await sleep(TRY_AGAIN_MS, undefined, { signal }).catch(() => {});
    }
  }
}

const mayComeYet = (cause: unknown): boolean =>
  cause instanceof errors.TimeoutError || (cause instanceof JetStreamApiError && cause.status >= 500);

function noJetStream(where: string, cause: unknown): HiveError {
  const message = `the NATS server at ${where} has no JetStream; start it with \`nats-server -js\`, or use \`hivebus up\``;
  return new HiveError('FAILED_PRECONDITION', message, { cause, reason: 'NO_JETSTREAM' });
}
