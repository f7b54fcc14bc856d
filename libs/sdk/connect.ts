import type { NatsConnection } from '@nats-io/nats-core';
import type { BusAccess } from '../bus/access.ts';
import { connectBus } from '../bus/connect.ts';
import { rawHeaders } from '../bus/raw-headers.ts';
import { systemClock } from '../kernel/clock.ts';
import { HiveError, quote } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import { isName, NAME_RULE } from '../kernel/names.ts';
import { encodeLines, eventLines, HEADERS, headerLine, nextHop, traceLines } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import { tokenSource } from '../protocol/token.ts';
import { createBusClient } from '../rpc/bus-client.ts';
import { spanSender } from '../rpc/span-sender.ts';
import { readBusAccess } from '../service/bus-access.ts';
import { followTraces } from '../telemetry/observe.ts';
import { ResourcePoolServiceService } from '../wire/hivebus/pool/v1/pool.ts';
import { RegistryServiceService } from '../wire/hivebus/registry/v1/registry.ts';
import { TelemetryServiceService } from '../wire/hivebus/telemetry/v1/telemetry.ts';
import type { Handled } from './context.ts';
import { delegating, taskOfEnvironment } from './delegation.ts';
import type { Hive, Identity } from './hive.ts';
import { defaultHome, operatorKeyFile, readKey, swarmKeyFile } from './keys.ts';
import { SwarmKey } from './swarm-key.ts';
import { currentTrace, freshTrace, traceOfEnvironment } from './trace-context.ts';

export interface ConnectOptions {
  /** Where the bus is; default `nats://127.0.0.1:4222`. */
  readonly servers?: string | readonly string[];
  /** How to log in to the NATS server, and TLS; default: what the variables HIVEBUS_NATS_… of `env` say. */
  readonly access?: BusAccess;
  /** Default `main`. */
  readonly federation?: string;
  /** Default: anonymous, who may read only. */
  readonly identity?: Identity;
  /** The folder of the keys; default HIVEBUS_HOME, else `~/.config/hivebus`. */
  readonly home?: string;
  /** The environment to take HIVEBUS_* and TRACEPARENT from, so that calls of a task's command belong to its trace. */
  readonly env?: NodeJS.ProcessEnv;
}

const DEFAULT_SERVER = 'nats://127.0.0.1:4222';

/**
 * Connects to a federation. A swarm's key is made by its first registration; an operator's must be there.
 * Throws UNAVAILABLE when the bus cannot be reached, UNAUTHENTICATED when the operator's key is not there or the bus
 * refuses our login.
 */
export async function connect(options: ConnectOptions = {}): Promise<Hive> {
  const {
    servers = DEFAULT_SERVER,
    federation = 'main',
    identity = { kind: 'anonymous' },
    env = process.env,
  } = options;
  if (!isName(federation)) {
    throw new HiveError('INVALID_ARGUMENT', `federation: ${quote(federation)} ${NAME_RULE}`);
  }
  const home = options.home ?? defaultHome(env);
  // Keys come first: without one there is nothing to connect for.
  const credentials = await credentialsOf(identity, federation, home);
  const { access = readBusAccess(env) } = options;
  const nc = await connectBus({ servers, access, name: `hivebus-${labelOf(identity)}`, jetStream: false });
  const outer = traceOfEnvironment(env);
  const task = taskOfEnvironment(env);
  const close = async () => {
    if (!nc.isClosed()) await nc.drain();
  };
  return new BusHive({ nc, federation, home, outer, task, close }, identity, credentials);
}

/** What all identities on one connection share. */
interface Link {
  readonly nc: NatsConnection;
  readonly federation: string;
  readonly home: string;
  /** The trace that this process was started in. */
  readonly outer: Trace | undefined;
  /** The task that this process was started for. */
  readonly task: Handled | undefined;
  readonly close: () => Promise<void>;
}

class BusHive implements Hive {
  readonly federation: string;
  readonly identity: Identity;
  readonly nc: NatsConnection;
  readonly registry: Hive['registry'];
  readonly pool: Hive['pool'];
  readonly telemetry: Hive['telemetry'];
  readonly sendSpans: Hive['sendSpans'];
  readonly #link: Link;
  readonly #token: () => string;

  constructor(link: Link, identity: Identity, { token, swarmKey }: Credentials) {
    this.federation = link.federation;
    this.nc = link.nc;
    this.identity = identity;
    this.#link = link;
    this.#token = token;
    const { federation } = link;
    const clientId = labelOf(identity);
    const options = { federation, token, clientId, trace: () => this.#trace(), observe: followTraces };
    const registry = createBusClient(link.nc, 'registry', RegistryServiceService, options);
    this.registry = swarmKey ? swarmKey.keepingWith(registry) : registry;
    const pool = createBusClient(link.nc, 'pool', ResourcePoolServiceService, options);
    this.pool = delegating(pool, federation, link.task);
    this.telemetry = createBusClient(link.nc, 'telemetry', TelemetryServiceService, options);
    this.sendSpans = spanSender(link.nc, { federation, token });
  }

  async as(identity: Identity): Promise<Hive> {
    const credentials = await credentialsOf(identity, this.federation, this.#link.home);
    return new BusHive({ ...this.#link, close: async () => {} }, identity, credentials);
  }

  publish(subject: string, type: string, data: object): void {
    if (this.nc.isClosed()) return; // closed before the swarm or agent that beats: no reason for the whole process to end
    const source = `/hivebus/clients/${labelOf(this.identity)}`;
    const trace = nextHop(this.#trace());
    const token = this.#token();
    const lines =
      eventLines({ id: randomId(), type, source, timeMs: systemClock.now() }) +
      traceLines(trace) +
      (token === '' ? '' : headerLine(HEADERS.authorization, `Bearer ${token}`));
    this.nc.publish(subject, JSON.stringify(data), { headers: rawHeaders(encodeLines(lines)) });
  }

  close(): Promise<void> {
    return this.#link.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  #trace(): Trace {
    return currentTrace() ?? this.#link.outer ?? freshTrace();
  }
}

/** By what an identity is proved. */
interface Credentials {
  /** Gives a valid token at any time; an empty one of nobody. */
  readonly token: () => string;
  readonly swarmKey?: SwarmKey;
}

async function credentialsOf(identity: Identity, federation: string, home: string): Promise<Credentials> {
  switch (identity.kind) {
    case 'anonymous':
      return { token: () => '' };
    case 'operator': {
      checkName('operator', identity.name);
      const file = operatorKeyFile(home, identity.name);
      const key = await readKey(file);
      if (key) return { token: tokenSource(key, identity, federation, systemClock.now) };
      const hint = 'run this where `hivebus up` was started, set HIVEBUS_HOME, or act as a swarm';
      throw new HiveError('UNAUTHENTICATED', `operator ${identity.name} has no key here (${file}): ${hint}`);
    }
    default: {
      checkName('swarm', identity.swarm);
      if (identity.kind === 'agent') checkName('agent', identity.name);
      const file = swarmKeyFile(home, federation, identity.swarm);
      const swarmKey = await SwarmKey.of(file, identity, federation, systemClock.now);
      return { token: swarmKey.token, swarmKey };
    }
  }
}

/** Names become parts of file names and subjects. */
function checkName(kind: string, name: string): void {
  if (!isName(name)) throw new HiveError('INVALID_ARGUMENT', `${kind}: ${quote(name)} ${NAME_RULE}`);
}

/** E.g. `swarm-code`: for request ids and the names of connections. */
function labelOf(identity: Identity): string {
  switch (identity.kind) {
    case 'anonymous':
      return 'anonymous';
    case 'operator':
      return `operator-${identity.name}`;
    case 'swarm':
      return `swarm-${identity.swarm}`;
    case 'agent':
      return `agent-${identity.swarm}-${identity.name}`;
  }
}
