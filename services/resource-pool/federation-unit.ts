import type { NatsConnection } from '@nats-io/nats-core';
import type { Journal } from '../../libs/journal/journal.ts';
import { openJournal } from '../../libs/journal/open.ts';
import type { JournalSettings } from '../../libs/journal/settings.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import { newKeyPair } from '../../libs/protocol/token.ts';
import type { Authenticate } from '../../libs/rpc/authenticate.ts';
import { commandCheck } from '../../libs/rpc/command-check.ts';
import { BACKGROUND, type Observe } from '../../libs/rpc/observe.ts';
import type { SwarmMetrics } from '../../libs/telemetry/swarm-metrics.ts';
import { ResourcePoolServiceService } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { AgentLine } from './agent-line.ts';
import { AgentNews } from './agent-news.ts';
import { type PoolApi, poolApi } from './api.ts';
import { Artefacts } from './artefacts.ts';
import { createPoolMachine } from './core/machine.ts';
import type { PoolSettings } from './core/settings.ts';
import type { PoolShape } from './core/state.ts';
import { DeadLetters } from './dead-letters.ts';
import { deliverer } from './deliver.ts';
import { Grants } from './grants.ts';
import { listenToHeartbeats } from './heartbeats.ts';
import { Liveness, type LivenessOptions } from './liveness.ts';
import { observePool } from './observe-pool.ts';
import { ProgressBoard } from './progress.ts';
import { RegistryFollower, registryClient } from './registry-follower.ts';
import { retireStrays } from './retire-strays.ts';
import { type SessionApi, sessionApi } from './session.ts';
import { sweepArtefacts } from './sweep-artefacts.ts';
import { TaskLogs } from './task-logs.ts';
import { COMMAND_RULES, swarmOf } from './validation.ts';

export type Log = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object) => void;

export interface UnitOptions {
  readonly federation: string;
  readonly nc: NatsConnection;
  readonly announcer: NatsConnection;
  readonly authenticate: Authenticate;
  readonly pool: PoolSettings;
  readonly watching: Pick<LivenessOptions, 'phi' | 'sampleMs' | 'probeBusyMs' | 'settleMs'> & {
    /** How often content of artefacts is looked for that is nobody's, in milliseconds. */
    readonly sweepMs: number;
  };
  readonly journal: Partial<JournalSettings>;
  readonly clock: Clock;
  readonly ignored: (why: HiveError, federation: string) => void;
  readonly metrics: SwarmMetrics;
  readonly observe: Observe | undefined;
  readonly log: Log;
}

/** One federation on this replica: its journal, and everything that listens and answers for it. */
export interface FederationUnit extends AsyncDisposable {
  readonly journal: Journal<PoolShape>;
  readonly liveness: Liveness;
  readonly api: PoolApi;
  readonly sessions: SessionApi;
}

const checkCommand = commandCheck(ResourcePoolServiceService, COMMAND_RULES);
/** A command waits so long, in milliseconds, until what the registry says of its swarm is known to the leader. */
const LOOK_UP_MS = 4000;

/** Opens a federation; resolves when it can be used, and `follower` is the unit's from then on. */
export async function openFederation(
  options: UnitOptions,
  follower: RegistryFollower,
  signal: AbortSignal,
): Promise<FederationUnit> {
  const { federation, nc, clock, log, authenticate } = options;
  const logs = await TaskLogs.open(nc, federation, options.journal.replicas ?? 1, clock);
  const dead = await DeadLetters.open(nc, federation, options.journal.replicas ?? 1);
  const artefacts = await Artefacts.open(nc, federation, options.journal.replicas ?? 1);
  const key = newKeyPair();
  const line = new AgentLine(nc, federation, clock, key);
  const onError = (error: HiveError) =>
    log('debug', 'a change was not told to the machine yet', { federation, why: error.message });
  const liveness = new Liveness({ ...options.watching, line, clock, onError });
  const machine = createPoolMachine(options.pool);
  const journal: Journal<PoolShape> = await openJournal<PoolShape>({
    ...{ federation, nc, announcer: options.announcer, clock, authenticate },
    machine,
    soft: { swarms: follower.swarms, deliveryKey: key.publicKey },
    async checkCommand(name, input) {
      checkCommand(name, input);
      const swarm = swarmOf(name, input);
      if (swarm !== '') await follower.lookUp(swarm, { trace: BACKGROUND, signal: AbortSignal.timeout(LOOK_UP_MS) });
    },
    settings: options.journal,
    perform: deliverer({
      journal: () => journal,
      line,
      lostConnection: (agent, instance) => liveness.lostConnection(agent, instance),
      publishLetter: (letter, id) => dead.publish(letter, id),
    }),
    log: (level, message, fields) => log(level, message, fields),
  });
  try {
    await journal.ready(signal);
  } catch (error) {
    await journal[Symbol.asyncDispose]();
    throw error;
  }
  liveness.follow(journal);
  const grants = new Grants(journal, clock);
  const observing = observePool(journal, options.metrics);
  const retiring = retireStrays({ journal, follower, clock, onError });
  const sweeping = sweepArtefacts({ journal, artefacts, clock, everyMs: options.watching.sweepMs, onError });
  const ignored = (why: HiveError) => options.ignored(why, federation);
  const progress = new ProgressBoard(() => journal.state);
  const heartbeats = listenToHeartbeats({ nc, journal, liveness, progress, clock, authenticate, ignored });
  const news = new AgentNews(journal);
  const close = async () => {
    news[Symbol.dispose]();
    heartbeats[Symbol.dispose]();
    retiring[Symbol.dispose]();
    sweeping[Symbol.dispose]();
    observing[Symbol.dispose]();
    grants[Symbol.dispose]();
    liveness[Symbol.dispose]();
    await journal[Symbol.asyncDispose]();
    await follower[Symbol.asyncDispose]();
  };
  const api = poolApi({
    journal,
    ...{ logs, liveness, artefacts, grants, progress },
    events: machine.events,
    lookUp: (swarm, call) => follower.lookUp(swarm, call),
  });
  const { observe } = options;
  const sessions = sessionApi({ nc, journal, api, news, clock, authenticate, observe });
  return { journal, liveness, api, sessions, [Symbol.asyncDispose]: close };
}

/** Follows the registry of a federation. */
export function followRegistry(
  nc: NatsConnection,
  federation: string,
  { clock, observe, log }: { readonly clock: Clock; readonly observe: Observe | undefined; readonly log: Log },
): RegistryFollower {
  return new RegistryFollower(registryClient(nc, federation, clock, observe), clock, (error) => {
    if (error) log('debug', 'cannot follow the registry, will try again', { federation, why: error.message });
  });
}
