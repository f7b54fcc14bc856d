import { isName } from '../../libs/kernel/names.ts';
import { isPublicKey } from '../../libs/protocol/token.ts';
import type { CommandRules } from '../../libs/rpc/command-check.ts';
import { Faults } from '../../libs/rpc/validate.ts';
import type * as rpc from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { checkAgentSpec } from './agent-spec.ts';
import { checkClusterSpec } from './cluster-spec.ts';

/**
 * The edge: each request is checked once, all its faults are reported together (INVALID_ARGUMENT), and what comes
 * after never checks again. The rules are those that the proto files state; types and unknown fields were checked by
 * the adaptors.
 */

const MAX_NAMES = 32;
const MAX_CAPABILITIES = 64;
const MAX_CAPACITY = 100_000;
const MAX_PAGE = 1000;

/** Runs checks and throws what they found. */
function check(run: (faults: Faults) => void): void {
  const faults = new Faults();
  run(faults);
  faults.throwIfAny();
}

export const checkName = (name: string): void => check((faults) => faults.name('name', name));

export function checkFederation(request: rpc.InitFederationRequest): void {
  check((faults) => {
    faults.name('name', request.name);
    faults.length('description', request.description, 256);
    faults.optionalRange('removeAfterMs', request.removeAfterMs, 1000, 4_294_967_295);
  });
}

function checkRegistration(request: rpc.RegisterSwarmRequest): void {
  check((faults) => {
    faults.name('name', request.name);
    faults.length('project', request.project, 128);
    faults.optionalUrl('queenEndpoint', request.queenEndpoint, 512);
    faults.optionalName('region', request.region);
    names(faults, 'tags', request.tags);
    publicKey(faults, request.publicKey);
    capabilities(faults, request.capabilities);
  });
}

function publicKey(faults: Faults, key: string): void {
  if (key === '' || isPublicKey(key)) return;
  faults.add('publicKey', key, 'must be base64url of the 32 bytes of an Ed25519 key, or empty');
}

function names(faults: Faults, field: string, values: readonly string[]): void {
  if (values.length === 0) return;
  faults.list(field, values, MAX_NAMES, (at, value) => faults.name(at, value));
  faults.distinct(field, values);
}

function texts(faults: Faults, field: string, values: readonly string[]): void {
  if (values.length === 0) return;
  faults.list(field, values, MAX_NAMES, (at, value) => faults.length(at, value, 64, 1));
  faults.distinct(field, values);
}

function capabilities(faults: Faults, offered: readonly rpc.Capability[]): void {
  faults.list('capabilities', offered, MAX_CAPABILITIES, (at, { agentType, capacity, specializations, skills }) => {
    faults.name(`${at}.agentType`, agentType);
    faults.range(`${at}.capacity`, capacity, 1, MAX_CAPACITY);
    texts(faults, `${at}.specializations`, specializations);
    names(faults, `${at}.skills`, skills);
  });
  if (offered.length < 2) return;
  const types = offered.map(({ agentType }) => agentType);
  faults.distinct('capabilities', types);
}

const MAX_BEATS = 1000;

/** A message of a stream of heartbeats; each beat is checked when its turn comes. */
export function checkBeats(request: rpc.StreamHeartbeatsRequest): void {
  check((faults) => {
    const { length } = request.items;
    if (length > MAX_BEATS) faults.add('items', length, `must be at most ${MAX_BEATS}`);
  });
}

export function checkHeartbeat(request: rpc.HeartbeatRequest): void {
  check((faults) => {
    faults.name('swarm', request.swarm);
    if (!request.load) return;
    const { agents, utilization, queuedTasks, errorRate } = request.load;
    faults.range('load.agents', agents, 0, 100_000);
    faults.range('load.utilization', utilization, 0, 1);
    faults.range('load.queuedTasks', queuedTasks, 0, 10_000_000);
    faults.range('load.errorRate', errorRate, 0, 1);
  });
}

export function checkList(request: rpc.ListSwarmsRequest): void {
  check((faults) => {
    names(faults, 'tags', request.tags);
    faults.optionalName('region', request.region);
    faults.optionalName('agentType', request.agentType);
    if (request.liveness.includes('LIVENESS_UNSPECIFIED')) {
      faults.add('liveness', request.liveness, 'must name what is wanted; leave it empty for any');
    }
    faults.range('pageSize', request.pageSize, 0, MAX_PAGE);
    faults.optionalName('pageToken', request.pageToken);
    faults.revision('minRevision', request.minRevision);
  });
}

export function checkFind(request: rpc.FindSwarmsRequest): void {
  check((faults) => {
    faults.name('agentType', request.agentType);
    names(faults, 'skills', request.skills);
    texts(faults, 'specializations', request.specializations);
    faults.optionalName('region', request.region);
    faults.range('limit', request.limit, 0, MAX_PAGE);
  });
}

export function checkCompare(request: rpc.CompareSwarmsRequest): void {
  check((faults) => {
    faults.name('left', request.left);
    faults.name('right', request.right);
  });
}

export function checkFallbacks(request: rpc.RecommendFallbacksRequest): void {
  check((faults) => {
    faults.optionalName('swarm', request.swarm);
    faults.optionalName('agentType', request.agentType);
    if (request.swarm === '' && request.agentType === '') {
      faults.add('swarm', request.swarm, 'must be there when agentType is empty');
    }
    faults.range('limit', request.limit, 0, 100);
  });
}

function checkCluster(request: rpc.PutClusterRequest): void {
  check((faults) => {
    faults.name('name', request.name);
    faults.optionalName('swarm', request.swarm);
    if (request.spec) checkClusterSpec(faults, request.spec);
    else faults.add('spec', request.spec, 'must be there');
  });
}

export function checkClusterList(request: rpc.ListClustersRequest): void {
  check((faults) => {
    faults.optionalName('swarm', request.swarm);
    faults.range('pageSize', request.pageSize, 0, MAX_PAGE);
    faults.optionalName('pageToken', request.pageToken);
  });
}

function checkDeclaredAgent(request: rpc.PutDeclaredAgentRequest): void {
  check((faults) => {
    faults.name('swarm', request.swarm);
    faults.name('name', request.name);
    if (request.spec) checkAgentSpec(faults, request.spec);
    else faults.add('spec', request.spec, 'must be there');
  });
}

export function checkDeclaredName(request: { readonly swarm: string; readonly name: string }): void {
  check((faults) => {
    faults.name('swarm', request.swarm);
    faults.name('name', request.name);
  });
}

export function checkDeclaredList(request: rpc.ListDeclaredAgentsRequest): void {
  check((faults) => {
    faults.optionalName('swarm', request.swarm);
    faults.range('pageSize', request.pageSize, 0, MAX_PAGE);
    const { pageToken } = request;
    if (pageToken === '' || pageToken.split('/').every(isName)) return;
    faults.add('pageToken', pageToken, 'must be the nextPageToken of the page before');
  });
}

export function checkEvents(request: rpc.WatchEventsRequest): void {
  check((faults) => {
    faults.revision('fromRevision', request.fromRevision);
    if (request.since !== undefined && request.fromRevision !== '0') {
      faults.add('since', request.since, 'must not be given together with fromRevision');
    }
  });
}

export function checkDiscovery({ announce, query }: rpc.DiscoveryMessage): void {
  check((faults) => {
    if ((announce === undefined) !== (query === undefined)) return;
    faults.add('message', { announce, query }, 'must hold exactly one of announce and query');
  });
}

export function checkRevision(field: string, revision: string): void {
  check((faults) => faults.revision(field, revision));
}

/** The rules of each command, for what other replicas forward. */
export const COMMAND_RULES: CommandRules<rpc.RegistryServiceService> = {
  initFederation: checkFederation,
  updateFederation: checkFederation,
  registerSwarm: checkRegistration,
  deregisterSwarm: ({ name }) => checkName(name),
  putCluster: checkCluster,
  deleteCluster: ({ name }) => checkName(name),
  putDeclaredAgent: checkDeclaredAgent,
  deleteDeclaredAgent: checkDeclaredName,
};
