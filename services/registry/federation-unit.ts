import type { NatsConnection } from '@nats-io/nats-core';
import type { Journal } from '../../libs/journal/journal.ts';
import { openJournal } from '../../libs/journal/open.ts';
import type { JournalSettings } from '../../libs/journal/settings.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import type { PhiOptions } from '../../libs/protocol/phi-detector.ts';
import type { Authenticate } from '../../libs/rpc/authenticate.ts';
import { commandCheck } from '../../libs/rpc/command-check.ts';
import { RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { type ApiDeps, type RegistryApi, registryApi } from './api.ts';
import { registryMachine } from './core/machine.ts';
import type { RegistryShape } from './core/state.ts';
import { listenToDiscovery } from './discovery.ts';
import { heartbeatPasser, listenToHeartbeats } from './heartbeats.ts';
import { LivenessMonitor } from './liveness-monitor.ts';
import { observeRegistry } from './observe-registry.ts';
import { COMMAND_RULES } from './validation.ts';

export type Log = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object) => void;

export interface UnitOptions extends Pick<ApiDeps, 'journalOf' | 'opened'> {
  readonly federation: string;
  readonly nc: NatsConnection;
  readonly announcer: NatsConnection;
  readonly authenticate: Authenticate;
  readonly phi: PhiOptions;
  readonly sampleMs: number;
  readonly journalSettings: Partial<JournalSettings>;
  readonly clock: Clock;
  readonly ignored: (what: 'heartbeat' | 'discovery', why: HiveError, federation: string) => void;
  readonly log: Log;
}

/** One federation on this replica: its journal, and everything that listens and answers for it. */
export interface FederationUnit extends AsyncDisposable {
  readonly journal: Journal<RegistryShape>;
  readonly monitor: LivenessMonitor;
  readonly api: RegistryApi;
}

const checkCommand = commandCheck(RegistryServiceService, COMMAND_RULES);

/** Opens a federation; resolves when it can be used. */
export async function openFederation(options: UnitOptions, signal: AbortSignal): Promise<FederationUnit> {
  const { federation, nc, authenticate, clock, log } = options;
  const monitor = new LivenessMonitor({
    ...{ federation, clock, phi: options.phi, sampleMs: options.sampleMs },
    onError: (error) => log('debug', 'a change of liveness was not told yet', { federation, why: error.message }),
  });
  const machine = registryMachine(federation);
  const journal = await openJournal({
    ...{ machine, federation, nc, announcer: options.announcer, clock, authenticate },
    soft: monitor,
    checkCommand,
    settings: options.journalSettings,
    log: (level, message, fields) => log(level, message, fields),
  });
  const resources: Disposable[] = [monitor];
  const close = async () => {
    for (const resource of resources.reverse()) resource[Symbol.dispose]();
    await journal[Symbol.asyncDispose]();
  };
  try {
    await journal.ready(signal);
  } catch (error) {
    await close();
    throw error;
  }
  const passOn = heartbeatPasser(nc, federation, clock);
  const heartbeatIntervalMs = options.phi.expectedIntervalMs;
  const { journalOf, opened } = options;
  const api = registryApi({ journal, events: machine.events, journalOf, opened, passOn, heartbeatIntervalMs });
  const ignored = (what: 'heartbeat' | 'discovery', why: HiveError) => options.ignored(what, why, federation);
  monitor.follow(journal);
  resources.push(observeRegistry(journal));
  resources.push(listenToHeartbeats({ nc, journal, monitor, authenticate, ignored }));
  resources.push(listenToDiscovery({ nc, federation, api, authenticate, clock, ignored }));
  return { journal, monitor, api, [Symbol.asyncDispose]: close };
}
