import { metrics } from '@opentelemetry/api';
import { followHearing } from '../../libs/bus/hearing.ts';
import type { JournalSettings } from '../../libs/journal/settings.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import { DEFAULT_PHI_OPTIONS, type PhiOptions } from '../../libs/protocol/phi-detector.ts';
import { createAuthenticator, type KeyRing } from '../../libs/rpc/authenticate.ts';
import { bind } from '../../libs/rpc/binding.ts';
import { FederationHost } from '../../libs/service/federations.ts';
import type { Service, ServiceDeps } from '../../libs/service/run-service.ts';
import { RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { MAIN } from './core/federation.ts';
import { type FederationUnit, openFederation } from './federation-unit.ts';
import { internalCall } from './liveness-monitor.ts';
import { handOverSettings } from './settings-handover.ts';

export interface RegistryConfig {
  readonly journal?: Partial<JournalSettings>;
  readonly phi?: Partial<PhiOptions>;
  /** How often the leader looks for silent swarms, in milliseconds; default 500. */
  readonly sampleMs?: number;
}

/** `authenticate` knows the operators' keys and those of the swarms that are registered here. */
export interface Registry extends Service {
  /** The key that owns a swarm's name: '' = operators only; undefined = not registered. */
  readonly swarmKey: KeyRing['swarmKey'];
}

const DEFAULT_SAMPLE_MS = 500;
/** How often settings are compared without a reason: after a change of leader nobody else would. */
const HAND_OVER_MS = 1000;

/** The registry on one replica: a unit for each federation that the registry of `main` knows. */
export function createRegistry(config: RegistryConfig, deps: ServiceDeps): Registry {
  const { nc, announcer, clock = systemClock, log = () => {} } = deps;
  const closing = new AbortController();
  const ignoredMessages = metrics.getMeter('hivebus').createCounter('registry_ignored_messages_total', {
    description: 'Heartbeats and discovery messages that were not taken, by what and why',
  });
  const swarmKey: KeyRing['swarmKey'] = (federation, swarm) =>
    host.get(federation).journal.state.swarms.committed(swarm)?.publicKey;
  const authenticate = createAuthenticator({ operatorKey: deps.operatorKey, swarmKey }, clock);

  const host: FederationHost<FederationUnit> = new FederationHost<FederationUnit>({
    clock,
    log,
    list: async (signal) => {
      const { journal } = await host.opened(MAIN, signal);
      const call = internalCall(MAIN, 'federations', signal);
      return (await journal.query('listFederations', {}, call)).federations.map(({ name }) => name);
    },
    open: async (federation, signal) => {
      const unit = await openFederation(
        {
          ...{ federation, nc, announcer, authenticate, clock, log },
          phi: { ...DEFAULT_PHI_OPTIONS, ...config.phi },
          sampleMs: config.sampleMs ?? DEFAULT_SAMPLE_MS,
          journalSettings: config.journal ?? {},
          journalOf: (name) => host.get(name).journal,
          opened: async (name, until) => void (await host.opened(name, until)),
          ignored: (what, why, where) => {
            ignoredMessages.add(1, { what, federation: where, code: why.code });
            log('debug', `a ${what} message was not taken`, { federation: where, why: why.message });
          },
        },
        signal,
      );
      if (federation === MAIN) followMain(unit);
      await handOverSettings([...host.units(), [federation, unit]], signal, log);
      return unit;
    },
  });

  const handOver = () => void handOverSettings(host.units(), closing.signal, log);
  let timer: Disposable;
  const handOverLater = (): void => {
    timer = clock.after(HAND_OVER_MS, () => {
      handOver();
      handOverLater();
    });
  };
  handOverLater();

  /** Federations appear, and their settings change, by events of `main`. */
  const followMain = ({ journal }: FederationUnit): void => {
    journal.onCommitted(({ events }) => {
      if (!events.some(({ type }) => type.startsWith('federation.'))) return;
      void host.refresh();
      handOver();
    });
  };
  followHearing(nc, () => host.units().map(([, { monitor }]) => monitor), closing.signal);

  return {
    binding: bind(
      'registry',
      RegistryServiceService,
      (federation) => host.get(federation).api,
      (federation) => host.awaited(federation),
    ),
    authenticate,
    swarmKey,
    ready: (signal, insist) => host.ready(signal, insist),
    check: () => host.check(),
    async [Symbol.asyncDispose]() {
      closing.abort();
      timer[Symbol.dispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}
