import { metrics } from '@opentelemetry/api';
import { followHearing } from '../../libs/bus/hearing.ts';
import type { JournalSettings } from '../../libs/journal/settings.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import { DEFAULT_PHI_OPTIONS, type PhiOptions } from '../../libs/protocol/phi-detector.ts';
import { createAuthenticator, type KeyRing } from '../../libs/rpc/authenticate.ts';
import { bind } from '../../libs/rpc/binding.ts';
import { FederationHost, MAIN_FEDERATION } from '../../libs/service/federations.ts';
import type { Service, ServiceDeps } from '../../libs/service/run-service.ts';
import { createSwarmMetrics } from '../../libs/telemetry/swarm-metrics.ts';
import { ResourcePoolServiceService } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { PoolSessionServiceService } from '../../libs/wire/hivebus/pool/v1/session.ts';
import { DEFAULT_SETTINGS, type PoolSettings } from './core/settings.ts';
import { type FederationUnit, followRegistry, openFederation } from './federation-unit.ts';
import { type RegistryFollower, registryClient } from './registry-follower.ts';

export interface ResourcePoolConfig {
  readonly journal?: Partial<JournalSettings>;
  readonly pool?: Partial<PoolSettings>;
  readonly phi?: Partial<PhiOptions>;
  /** How often the leader looks for silent agents, in milliseconds; default 200. */
  readonly sampleMs?: number;
  /** An agent with tasks is asked whether it is connected every so many milliseconds; default 100. */
  readonly probeBusyMs?: number;
  /** After the bus came back, agents get so many milliseconds to come back as well; default 2000. */
  readonly settleMs?: number;
  /** How often the leader looks for content of artefacts that is nobody's, in milliseconds; default 300000. */
  readonly sweepMs?: number;
}

const DEFAULT_SAMPLE_MS = 200;
const DEFAULT_PROBE_BUSY_MS = 100;
const DEFAULT_SWEEP_MS = 300_000;
const DEFAULT_SETTLE_MS = 2000;

/**
 * The resource pool on one replica: a unit for each federation that the registry tells. `authenticate` knows the
 * operators' keys and those of the swarms that the registry has told.
 */
export function createResourcePool(config: ResourcePoolConfig, deps: ServiceDeps): Service {
  const { nc, announcer, operatorKey, observe, clock = systemClock, log = () => {} } = deps;
  const closing = new AbortController();
  const pool: PoolSettings = { ...DEFAULT_SETTINGS, ...config.pool };
  const phi: PhiOptions = { ...DEFAULT_PHI_OPTIONS, expectedIntervalMs: pool.heartbeatMs, ...config.phi };
  const swarmMetrics = createSwarmMetrics();
  const ignoredHeartbeats = metrics.getMeter('hivebus').createCounter('pool_ignored_heartbeats_total', {
    description: 'Heartbeats of agents that were not taken, by why',
  });
  const followers = new Map<string, RegistryFollower>();
  const swarmKey: KeyRing['swarmKey'] = (federation, swarm) => followers.get(federation)?.publicKeyOf(swarm);
  const swarmsKnown: KeyRing['swarmsKnown'] = (federation) => followers.get(federation)?.synced ?? false;
  const authenticate = createAuthenticator({ operatorKey, swarmKey, swarmsKnown }, clock);
  const registry = registryClient(nc, MAIN_FEDERATION, clock, observe);

  const open = async (federation: string, signal: AbortSignal): Promise<FederationUnit> => {
    const follower = followRegistry(nc, federation, { clock, observe, log });
    followers.set(federation, follower);
    const options = {
      ...{ federation, nc, announcer, authenticate, pool, clock, log, metrics: swarmMetrics, observe },
      journal: config.journal ?? {},
      watching: {
        sampleMs: config.sampleMs ?? DEFAULT_SAMPLE_MS,
        probeBusyMs: config.probeBusyMs ?? DEFAULT_PROBE_BUSY_MS,
        settleMs: config.settleMs ?? DEFAULT_SETTLE_MS,
        phi,
        sweepMs: config.sweepMs ?? DEFAULT_SWEEP_MS,
      },
      ignored: (why: { code: string; message: string }) => {
        ignoredHeartbeats.add(1, { federation, code: why.code });
        log('debug', 'a heartbeat was not taken', { federation, why: why.message });
      },
    };
    try {
      return await openFederation(options, follower, signal);
    } catch (error) {
      await follower[Symbol.asyncDispose]();
      throw error;
    }
  };

  const host = new FederationHost<FederationUnit>({
    clock,
    log,
    list: async (signal) => (await registry.listFederations({}, { signal })).federations.map(({ name }) => name),
    open,
  });
  followHearing(nc, () => host.units().map(([, { liveness }]) => liveness), closing.signal);

  return {
    binding: bind(
      'pool',
      ResourcePoolServiceService,
      (federation) => host.get(federation).api,
      (federation) => host.awaited(federation),
    ),
    streams: [
      bind(
        'pool',
        PoolSessionServiceService,
        (federation) => host.get(federation).sessions,
        (federation) => host.awaited(federation),
      ),
    ],
    authenticate,
    ready: (signal, insist) => host.ready(signal, insist),
    check: () => host.check(),
    async [Symbol.asyncDispose]() {
      closing.abort();
      await host[Symbol.asyncDispose]();
    },
  };
}
