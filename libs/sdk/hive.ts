import type { NatsConnection } from '@nats-io/nats-core';
import type { Subject } from '../protocol/token.ts';
import type { Client } from '../rpc/api.ts';
import type { SendSpans } from '../telemetry/span-batches.ts';
import type { ResourcePoolServiceService } from '../wire/hivebus/pool/v1/pool.ts';
import type { RegistryServiceService } from '../wire/hivebus/registry/v1/registry.ts';
import type { TelemetryServiceService } from '../wire/hivebus/telemetry/v1/telemetry.ts';

/** As whom to act: an operator signs with its own key, a swarm and its agents with the swarm's. */
export type Identity = Subject | { readonly kind: 'anonymous' };

/** A connection to a federation, as somebody. */
export interface Hive extends AsyncDisposable {
  readonly federation: string;
  readonly identity: Identity;
  readonly nc: NatsConnection;
  readonly registry: Client<RegistryServiceService>;
  readonly pool: Client<ResourcePoolServiceService>;
  readonly telemetry: Client<TelemetryServiceService>;
  /** The same connection as somebody else; closing that one closes nothing. */
  as(identity: Identity): Promise<Hive>;
  /** Sends one message, with this identity's token. Lost when nobody listens, or when the connection is closed. */
  publish(subject: string, type: string, data: object): void;
  /** Hands spans to whoever keeps them on this bus; rejects when nobody does. */
  readonly sendSpans: SendSpans;
  /** Sends what is on its way and closes the connection. */
  close(): Promise<void>;
}
