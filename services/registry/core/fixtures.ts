import type { Principal } from '../../../libs/protocol/principal.ts';
import { newKeyPair } from '../../../libs/protocol/token.ts';
import { type MachineRunner, runMachine } from '../../../libs/testkit/machine-runner.ts';
import type * as rpc from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { registryMachine } from './machine.ts';
import type { Heard } from './rows.ts';
import type { RegistryShape } from './state.ts';

/** What the core's tests share. */

export const OPERATOR: Principal = { kind: 'operator', name: 'ada', key: 'key-of-ada' };
export const SERVICE: Principal = { kind: 'service', name: 'registry' };
export const START = Date.UTC(2026, 0, 1);

const keys = new Map<string, { publicKey: string; kid: string }>();

export function keyOf(owner: string): { publicKey: string; kid: string } {
  const key = keys.get(owner) ?? newKeyPair();
  keys.set(owner, key);
  return key;
}

/** The queen of `swarm`, with the key of that name or another. */
export function queen(swarm: string, key = swarm): Principal {
  const { kid, publicKey } = keyOf(key);
  return { kind: 'swarm', swarm, key: kid, publicKey };
}

export interface TestRegistry extends MachineRunner<RegistryShape> {
  /** What heartbeats have told, by swarm. */
  readonly heard: Map<string, Heard>;
  join(name: string, changes?: Partial<rpc.RegisterSwarmRequest>): rpc.RegisterSwarmResponse;
}

export function testRegistry(federation = 'main'): TestRegistry {
  const heard = new Map<string, Heard>();
  const soft = { heard: (swarm: string) => heard.get(swarm) };
  const start = { principal: OPERATOR, now: START, epochStart: START, soft };
  const runner = runMachine(registryMachine(federation), start);
  const join = (name: string, changes: Partial<rpc.RegisterSwarmRequest> = {}) =>
    runner.execute('registerSwarm', registration(name, changes), { principal: queen(name) });
  return { ...runner, heard, join };
}

export const registration = (
  name: string,
  changes: Partial<rpc.RegisterSwarmRequest> = {},
): rpc.RegisterSwarmRequest => ({
  name,
  project: '',
  queenEndpoint: '',
  region: '',
  tags: [],
  capabilities: [],
  expectedRevision: '0',
  publicKey: '',
  ...changes,
});

export const capability = (agentType: string, capacity = 1, changes: Partial<rpc.Capability> = {}): rpc.Capability => ({
  agentType,
  capacity,
  specializations: [],
  skills: [],
  ...changes,
});

export const filter = (changes: Partial<rpc.ListSwarmsRequest> = {}) => ({
  tags: [],
  region: '',
  agentType: '',
  liveness: [],
  pageSize: 0,
  pageToken: '',
  ...changes,
});

export const search = (agentType: string, changes: Partial<rpc.FindSwarmsRequest> = {}): rpc.FindSwarmsRequest => ({
  agentType,
  skills: [],
  specializations: [],
  region: '',
  limit: 0,
  includeUnreachable: false,
  ...changes,
});

/** The error that `run` throws, by code and reason; for tests that name the rule broken. */
export function refusal(run: () => unknown): unknown {
  try {
    run();
  } catch (error) {
    return error;
  }
  return undefined;
}
