import type { NatsConnection } from '@nats-io/nats-core';
import { Informer } from '../../libs/journal/informer.ts';
import { type Clock, pause } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { thumbprint } from '../../libs/protocol/token.ts';
import type { Client } from '../../libs/rpc/api.ts';
import { createBusClient } from '../../libs/rpc/bus-client.ts';
import { BACKGROUND, type Observe } from '../../libs/rpc/observe.ts';
import { RegistryServiceService, type Swarm } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import type { PoolSoft } from './core/state.ts';

type RegistryClient = Client<RegistryServiceService>;

const PAGE = 1000;
/** A command for which the registry must be known waits so long, in milliseconds, for it to be heard for the first time. */
const HEAR_MS = 2000;

const KNOWN = Promise.resolve();

interface Known {
  readonly name: string;
  readonly publicKey: string;
  /** The public key's thumbprint, as principals carry it. */
  readonly key: string;
  /** When it registered: names this registration. */
  readonly registration: string;
}

export const registryClient = (
  nc: NatsConnection,
  federation: string,
  clock: Clock,
  observe: Observe | undefined,
): RegistryClient =>
  createBusClient(nc, 'registry', RegistryServiceService, {
    ...{ federation, clientId: 'pool', clock, observe },
    trace: () => BACKGROUND,
  });

/** Which swarms are registered, and whose key owns each: what the registry says, followed over the bus. */
export class RegistryFollower implements PoolSoft, AsyncDisposable {
  readonly swarms: PoolSoft['swarms'];
  readonly #informer: Informer<Known>;
  readonly #client: RegistryClient;
  readonly #clock: Clock;
  readonly #heard: Promise<void>;
  #onChange: () => void = () => {};

  constructor(client: RegistryClient, clock: Clock, onStatus: (error: HiveError | undefined) => void) {
    let heard = () => {};
    this.#heard = new Promise((resolve) => {
      heard = resolve;
    });
    const onItems = () => {
      heard();
      this.#onChange();
    };
    const informer = new Informer<Known>(
      {
        list: (signal) => listAll(client, signal),
        watch: (revision, signal) => watch(client, revision, signal),
        keyOf: ({ name }) => name,
      },
      { clock, onStatus, onItems, onRemoved: () => this.#onChange() },
    );
    this.#informer = informer;
    this.#client = client;
    this.#clock = clock;
    this.swarms = {
      get synced() {
        return informer.synced;
      },
      keyOf: (swarm) => informer.get(swarm)?.key,
      registrationOf: (swarm) => informer.get(swarm)?.registration,
      names: () => informer.keys(),
    };
  }

  /** Has the registry been heard at all? */
  get synced(): boolean {
    return this.#informer.synced;
  }

  /** Calls `listener` whenever what the registry says may have changed. One listener. */
  onChange(listener: () => void): void {
    this.#onChange = listener;
  }

  /** Which registration of a swarm is current, from the registry's leader; undefined = none. */
  async askRegistration(swarm: string, signal: AbortSignal): Promise<string | undefined> {
    return (await this.#ask(swarm, { trace: BACKGROUND, signal }))?.registration;
  }

  /** The raw key that owns a swarm, base64url; undefined = not registered, as far as is known here. */
  publicKeyOf(swarm: string): string | undefined {
    return this.#informer.get(swarm)?.publicKey;
  }

  /**
   * Resolves when a swarm is known here if it is registered: it may have registered a moment ago, so the registry is
   * asked. A registry that was not heard yet is waited for a little; then the machine says that it was not heard.
   */
  lookUp(swarm: string, call: Pick<Call, 'trace' | 'signal'>): Promise<void> {
    return this.synced && this.#informer.get(swarm) ? KNOWN : this.#lookUp(swarm, call);
  }

  async #lookUp(swarm: string, call: Pick<Call, 'trace' | 'signal'>): Promise<void> {
    if (!this.synced) await this.#firstHeard(call.signal);
    if (!this.synced || this.#informer.get(swarm)) return;
    const found = await this.#ask(swarm, call);
    if (found) this.#informer.learn(found); // else the machine says that it is not registered
  }

  async #firstHeard(signal: AbortSignal): Promise<void> {
    const over = new AbortController();
    await Promise.race([this.#heard, pause(this.#clock, HEAR_MS, AbortSignal.any([signal, over.signal]))]);
    over.abort();
  }

  async #ask(name: string, { trace, signal }: Pick<Call, 'trace' | 'signal'>): Promise<Known | undefined> {
    try {
      const { swarm } = await this.#client.getSwarm({ name, linearizable: true }, { trace, signal });
      return swarm && known(swarm);
    } catch (cause) {
      const error = HiveError.from(cause);
      if (error.code === 'NOT_FOUND') return undefined;
      throw error;
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
const known = ({ name, publicKey, registeredAt = '' }: Swarm): Known => ({
  name,
  publicKey,
  key: publicKey === '' ? '' : thumbprint(publicKey),
  registration: registeredAt,
});
