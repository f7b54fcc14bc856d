import type { NatsConnection } from '@nats-io/nats-core';
import { Informer } from '../../libs/journal/informer.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { thumbprint } from '../../libs/protocol/token.ts';
import type { Client } from '../../libs/rpc/api.ts';
import { createBusClient } from '../../libs/rpc/bus-client.ts';
import { RegistryServiceService, type Swarm } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import type { PoolSoft } from './core/state.ts';

type RegistryClient = Client<RegistryServiceService>;

const PAGE = 1000;

interface Known {
  readonly name: string;
  readonly publicKey: string;
  /** The public key's thumbprint, as principals carry it. */
  readonly key: string;
}

export const registryClient = (nc: NatsConnection, federation: string, clock: Clock): RegistryClient =>
  createBusClient(nc, 'registry', RegistryServiceService, { federation, clientId: 'pool', clock });

/** Which swarms are registered, and whose key owns each: what the registry says, followed over the bus. */
export class RegistryFollower implements PoolSoft, AsyncDisposable {
  readonly swarms: PoolSoft['swarms'];
  readonly #informer: Informer<Known>;
  readonly #client: RegistryClient;

  constructor(client: RegistryClient, clock: Clock, onStatus: (error: HiveError | undefined) => void) {
    const informer = new Informer<Known>(
      {
        list: (signal) => listAll(client, signal),
        watch: (revision, signal) => watch(client, revision, signal),
        keyOf: ({ name }) => name,
      },
      { clock, onStatus },
    );
    this.#informer = informer;
    this.#client = client;
    this.swarms = {
      get synced() {
        return informer.synced;
      },
      keyOf: (swarm) => informer.get(swarm)?.key,
    };
  }

  /** The raw key that owns a swarm, base64url; undefined = not registered, as far as is known here. */
  publicKeyOf(swarm: string): string | undefined {
    return this.#informer.get(swarm)?.publicKey;
  }

  /** Asks the registry for a swarm that is not known here: it may have registered a moment ago. */
  async lookUp(swarm: string, signal: AbortSignal): Promise<void> {
    if (!this.#informer.synced || this.#informer.get(swarm)) return;
    try {
      const { swarm: found } = await this.#client.getSwarm({ name: swarm, linearizable: true }, { signal });
      if (found) this.#informer.learn(known(found));
    } catch (cause) {
      const error = HiveError.from(cause);
      if (error.code !== 'NOT_FOUND') throw error; // not registered: the machine says so
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#informer[Symbol.asyncDispose]();
  }
}

async function listAll(client: RegistryClient, signal: AbortSignal) {
  const items: Known[] = [];
  let first: string | undefined;
  let pageToken = '';
  do {
    const page = await client.listSwarms({ pageSize: PAGE, pageToken }, { signal });
    items.push(...page.swarms.map(known));
    pageToken = page.nextPageToken;
    // Watching from the first page's revision tells again what later pages may have had already.
    first ??= page.revision;
  } while (pageToken !== '');
  return { items, revision: first };
}

async function* watch(client: RegistryClient, fromRevision: string, signal: AbortSignal) {
  for await (const { revision, changed, removed } of client.watchSwarms({ fromRevision }, { signal })) {
    yield { revision, changed: changed.map(known), removed };
  }
}

/** A swarm without a key belongs to operators only: nobody's key is empty. */
const known = ({ name, publicKey }: Swarm): Known => ({
  name,
  publicKey,
  key: publicKey === '' ? '' : thumbprint(publicKey),
});
