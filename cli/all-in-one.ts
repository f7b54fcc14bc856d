import type { BusAccess } from '../libs/bus/access.ts';
import { connectBus } from '../libs/bus/connect.ts';
import { observeBus } from '../libs/bus/observe-bus.ts';
import { givenUp } from '../libs/bus/refusal.ts';
import type { BusStatus } from '../libs/bus/status.ts';
import { systemClock } from '../libs/kernel/clock.ts';
import type { HiveError } from '../libs/kernel/errors.ts';
import { serveBus } from '../libs/rpc/bus-server.ts';
import { serveGrpc } from '../libs/rpc/grpc-server.ts';
import type { Observe } from '../libs/rpc/observe.ts';
import { Closing } from '../libs/service/closing.ts';
import { SPANS_KEPT } from '../libs/service/config.ts';
import type { Checks } from '../libs/service/health.ts';
import { operatorKeys } from '../libs/service/operator-keys.ts';
import { VERSION } from '../libs/service/version.ts';
import { createRegistry } from '../services/registry/service.ts';
import { createResourcePool } from '../services/resource-pool/service.ts';
import type { RingBounds } from '../services/telemetry/core/span-ring.ts';
import type { SpanStore } from '../services/telemetry/core/span-store.ts';
import { createTelemetry } from '../services/telemetry/service.ts';

export interface AllInOneConfig {
  readonly nats: readonly string[];
  readonly access?: BusAccess;
  /** Told when the bus refuses us, after it had not: nothing works any more. */
  readonly onRefused: (error: HiveError) => void;
  readonly host: string;
  /** Ends waiting for the services. */
  readonly signal?: AbortSignal;
  /** 0 = any free one. */
  readonly grpcPort: number;
  /** The folder of the operators' public keys. */
  readonly operatorKeys: string;
  /** Copies of journals on a NATS cluster; default 1. */
  readonly replicas?: number;
  readonly log?: (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object) => void;
  readonly observe?: Observe | undefined;
  /** How many spans are kept for `hivebus trace`. */
  readonly spans?: RingBounds;
}

export interface AllInOne extends AsyncDisposable {
  readonly grpcPort: number;
  /** Why each service is not ready; undefined when it is. */
  readonly checks: Checks;
  /** Keeps spans; those of this process are added here. */
  readonly spans: SpanStore;
}

/** Every service in this process, on one bus and one gRPC port. Resolves when they serve; rejects with what keeps one from it. */
export async function createAllInOne(config: AllInOneConfig): Promise<AllInOne> {
  const { nats, access, host, signal, observe, log = () => {} } = config;
  const journal = { replicas: config.replicas ?? 1 };
  const closing = new Closing();
  try {
    const operatorKey = operatorKeys(config.operatorKeys, systemClock, (fault) => log('warn', fault.message));
    const open = async (name: string) => {
      const onStatus = ({ level, message }: BusStatus) => log(level, message);
      const nc = await connectBus({ servers: nats, access, name, onStatus });
      observeBus(nc, name);
      void givenUp(nc).then(config.onRefused);
      closing.use({ [Symbol.asyncDispose]: () => nc.close() });
      return nc;
    };
    const [nc, announcer] = await Promise.all([open('hivebus'), open('hivebus-announcer')]);
    const registry = closing.use(createRegistry({ journal }, { nc, announcer, operatorKey, log }));
    const pool = closing.use(createResourcePool({ journal }, { nc, announcer, operatorKey, observe, log }));
    const telemetry = closing.use(createTelemetry({ spans: config.spans ?? SPANS_KEPT }, { operatorKey }));
    const bindings = [registry.binding, pool.binding, telemetry.binding];
    // The registry itself knows a new swarm's key at once, the others a moment later.
    const { authenticate } = registry;
    closing.use(await serveBus({ nc, bindings, authenticate, observe, version: VERSION }));
    await Promise.all([registry.ready(signal, false), pool.ready(signal, false)]);
    const streamed = [...bindings, ...(pool.streams ?? [])];
    const grpc = closing.use(
      await serveGrpc({ bindings: streamed, authenticate, observe, host, port: config.grpcPort }),
    );
    const checks = { registry: () => registry.check(), pool: () => pool.check() };
    const { store: spans } = telemetry;
    return { grpcPort: grpc.port, checks, spans, [Symbol.asyncDispose]: () => closing[Symbol.asyncDispose]() };
  } catch (error) {
    await closing[Symbol.asyncDispose]();
    throw error;
  }
}
