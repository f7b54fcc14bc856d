import type { Journal, QueryOptions } from '../../libs/journal/journal.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { inParts } from '../../libs/protocol/answer-size.ts';
import type { Call } from '../../libs/protocol/call.ts';
import type { Machine } from '../../libs/protocol/machine.ts';
import type { Api } from '../../libs/rpc/api.ts';
import { watchEvents } from '../../libs/service/watch-events.ts';
import { watchStart } from '../../libs/service/watch-start.ts';
import type {
  HeartbeatRequest,
  HeartbeatResponse,
  RegistryServiceService,
  StreamHeartbeatsRequest,
  WatchSwarmsResponse,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { mayBeat } from './core/access.ts';
import { MAIN } from './core/federation.ts';
import type { RegistryShape } from './core/state.ts';
import * as check from './validation.ts';

export type RegistryApi = Api<typeof RegistryServiceService>;

/** Commands that clients have. */
type Command = keyof typeof check.COMMAND_RULES & keyof RegistryShape['commands'];

export interface ApiDeps {
  /** The journal of the federation that is served. */
  readonly journal: Journal<RegistryShape>;
  /** The machine's events, for their keys. */
  readonly events: Machine<RegistryShape>['events'];
  /** The journal of any federation that is open here; throws NOT_FOUND for others. */
  readonly journalOf: (federation: string) => Journal<RegistryShape>;
  /** Resolves when a federation can be used through this replica. */
  readonly opened: (federation: string, signal: AbortSignal) => Promise<void>;
  /** Passes a heartbeat on to every replica, with the token that proves it. */
  readonly passOn: (request: HeartbeatRequest, call: Call) => void;
  /** How often swarms shall send heartbeats, in milliseconds. */
  readonly heartbeatIntervalMs: number;
}

/** The registry's methods in one federation: check the request, ask the machine. */
export function registryApi(deps: ApiDeps): RegistryApi {
  const { journal, journalOf, heartbeatIntervalMs: intervalMs } = deps;

  const heartbeat = async (request: HeartbeatRequest, call: Call): Promise<HeartbeatResponse> => {
    check.checkHeartbeat(request);
    const { liveness } = await beating(journal, request.swarm, call);
    deps.passOn(request, call);
    return { liveness, intervalMs };
  };

  /** The method that is the command of its name. Not async, which would take as long as the check. */
  const command =
    <N extends Command>(name: N) =>
    (request: RegistryShape['commands'][N]['input'], call: Call): Promise<RegistryShape['commands'][N]['reply']> => {
      try {
        (check.COMMAND_RULES[name] as (request: object) => void)(request);
      } catch (error) {
        return Promise.reject(error);
      }
      return journal.execute(name, request, call);
    };

  return {
    async initFederation(request, call) {
      check.checkFederation(request);
      const response = await journal.execute('initFederation', request, call);
      await deps.opened(request.name, call.signal);
      return response;
    },
    updateFederation: command('updateFederation'),
    async getFederation(request, call) {
      const name = request.name || journal.federation;
      check.checkName(name);
      const { federation } = await journalOf(MAIN).query('getFederation', { name }, call);
      return { federation, ...(await journalOf(name).query('census', {}, call)) };
    },
    listFederations: (request, call) => journalOf(MAIN).query('listFederations', request, call),

    registerSwarm: command('registerSwarm'),
    deregisterSwarm: command('deregisterSwarm'),
    async getSwarm(request, call) {
      check.checkName(request.name);
      check.checkRevision('minRevision', request.minRevision);
      return journal.query('getSwarm', { name: request.name }, call, freshness(request));
    },
    async listSwarms(request, call) {
      check.checkList(request);
      const { tags, region, agentType, liveness, pageSize, pageToken } = request;
      const filter = { tags, region, agentType, liveness, pageSize, pageToken };
      return journal.query('listSwarms', filter, call, freshness(request));
    },
    watchSwarms(request, call) {
      check.checkRevision('fromRevision', request.fromRevision);
      return watchSwarms(journal, Number(request.fromRevision), call);
    },

    heartbeat,
    async streamHeartbeats(requests, call) {
      let accepted = 0;
      for await (const request of requests) {
        check.checkBeats(request);
        for (const beat of beatsOf(request)) {
          await heartbeat(beat, call);
          accepted++;
        }
      }
      return { accepted: String(accepted) };
    },

    async findSwarms(request, call) {
      check.checkFind(request);
      return journal.query('findSwarms', request, call);
    },
    async compareSwarms(request, call) {
      check.checkCompare(request);
      return journal.query('compareSwarms', request, call);
    },
    async recommendFallbacks(request, call) {
      check.checkFallbacks(request);
      return journal.query('recommendFallbacks', request, call);
    },

    putCluster: command('putCluster'),
    async getCluster(request, call) {
      check.checkName(request.name);
      return journal.query('getCluster', request, call);
    },
    async listClusters(request, call) {
      check.checkClusterList(request);
      return journal.query('listClusters', request, call);
    },
    deleteCluster: command('deleteCluster'),

    putDeclaredAgent: command('putDeclaredAgent'),
    async getDeclaredAgent(request, call) {
      check.checkDeclaredName(request);
      return journal.query('getDeclaredAgent', request, call);
    },
    async listDeclaredAgents(request, call) {
      check.checkDeclaredList(request);
      return journal.query('listDeclaredAgents', request, call);
    },
    deleteDeclaredAgent: command('deleteDeclaredAgent'),

    watchEvents(request, call) {
      check.checkEvents(request);
      return watchEvents(journal, deps.events, request, call.signal);
    },
  };
}

/** A message of one beat, of several, or of both. */
const beatsOf = ({ swarm, load, items }: StreamHeartbeatsRequest): readonly HeartbeatRequest[] =>
  swarm === '' && items.length > 0 ? items : [{ swarm, load }, ...items];

const freshness = (request: { minRevision: string; linearizable: boolean }): QueryOptions => ({
  minRevision: Number(request.minRevision),
  linearizable: request.linearizable,
});

/** The swarm for which the caller may beat. A replica that lags asks the leader before it says NOT_FOUND. */
async function beating(journal: Journal<RegistryShape>, swarm: string, call: Call) {
  try {
    return mayBeat(journal.state, swarm, call.principal);
  } catch (error) {
    if (journal.role === 'leader' || !(error instanceof HiveError) || error.code !== 'NOT_FOUND') throw error;
  }
  const { revision } = await journal.query('getSwarm', { name: swarm }, call, { linearizable: true });
  await journal.query('census', {}, call, { minRevision: Number(revision) });
  return mayBeat(journal.state, swarm, call.principal);
}

/**
 * Every change of a swarm after `from`, as the swarm now is: whoever is behind sees the newest, and may see it twice.
 * The first item only says where the watch begins.
 */
async function* watchSwarms(
  journal: Journal<RegistryShape>,
  from: number,
  call: Call,
): AsyncGenerator<WatchSwarmsResponse> {
  const start = await watchStart(journal, from, call.signal);
  yield { revision: String(start), changed: [], removed: [] };
  for await (const { revision, events } of journal.watch(start, call.signal)) {
    const names = new Set(events.flatMap(({ type, data }) => (type.startsWith('swarm.') ? [data.name] : [])));
    if (names.size === 0) continue;
    const { swarms } = await journal.query('getSwarms', { names: [...names] }, call, { minRevision: revision });
    for (const { name } of swarms) names.delete(name);
    yield* inParts(revision, swarms, [...names]);
  }
}
