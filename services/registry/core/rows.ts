import type { AgentSpec } from '../../../libs/wire/hivebus/registry/v1/agent.ts';
import type { ClusterSpec } from '../../../libs/wire/hivebus/registry/v1/cluster.ts';
import type * as rpc from '../../../libs/wire/hivebus/registry/v1/registry.ts';

/** The durable rows, and what is heard besides. */

/** A federation's settings. Times are machine time, milliseconds since 1970, here and below. */
export interface FederationRow {
  readonly name: string;
  readonly description: string;
  readonly joinPolicy: rpc.JoinPolicy;
  /** 0 = never. */
  readonly removeAfterMs: number;
  readonly createdAt: number;
  /** Revision of the last change. */
  readonly revision: number;
}

export interface SwarmRow {
  readonly name: string;
  readonly project: string;
  readonly queenEndpoint: string;
  readonly region: string;
  readonly tags: readonly string[];
  /** At most one for each agent type. */
  readonly capabilities: readonly rpc.Capability[];
  /** base64url of the owner's raw key; empty together with keyId: only operators change the swarm. */
  readonly publicKey: string;
  readonly keyId: string;
  /** Revision of the last registration that changed anything. */
  readonly revision: number;
  readonly registeredAt: number;
  readonly updatedAt: number;
  readonly liveness: rpc.Liveness;
  /** When `liveness` became what it is. */
  readonly livenessSince: number;
  /** Has ever sent a heartbeat: only then does silence mean anything. */
  readonly monitored: boolean;
  /** The last heartbeat that the leader knew of when liveness last changed; 0 = none. */
  readonly lastHeartbeatAt: number;
}

export interface ClusterRow {
  readonly name: string;
  readonly swarm: string;
  readonly spec: ClusterSpec;
  /** From 1, one more at each change. */
  readonly generation: number;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

export interface DeclaredAgentRow {
  /** `<swarm>/<name>`: its key in the table. */
  readonly key: string;
  readonly swarm: string;
  readonly name: string;
  readonly spec: AgentSpec;
  /** From 1, one more at each change. */
  readonly generation: number;
  readonly revision: number;
  readonly createdAt: number;
  readonly updatedAt: number;
}

/** What a replica knows of a swarm from its heartbeats. Never journaled. */
export interface Heard {
  /** When the last heartbeat arrived, milliseconds since 1970. */
  readonly at: number;
  readonly load: rpc.Load | undefined;
  /** The failure detector's suspicion now. */
  readonly phi: number;
}
