import { unlink } from 'node:fs/promises';
import { type Code, HiveError } from '../kernel/errors.ts';
import { type KeyPair, newKeyPair, type Subject, tokenSource } from '../protocol/token.ts';
import type { Hive } from './hive.ts';
import { keepKey, readKey } from './keys.ts';

type Registry = Hive['registry'];

/** New keys that are in no file yet, by file: whoever asks for one in this process gets the same. */
const unkept = new Map<string, KeyPair>();

/** A refusal with one of these codes has changed nothing, and is final. */
const FINAL: ReadonlySet<Code> = new Set([
  ...(['INVALID_ARGUMENT', 'NOT_FOUND', 'ALREADY_EXISTS', 'PERMISSION_DENIED'] as const),
  ...(['FAILED_PRECONDITION', 'UNAUTHENTICATED', 'OUT_OF_RANGE'] as const),
]);

/**
 * A swarm's key. Where there is none one is made, and goes into its file just before it is needed for good: before the
 * registration that binds the swarm's name to it. When that is refused the file is taken away again.
 */
export class SwarmKey {
  readonly #file: string;
  readonly #subject: Subject;
  readonly #federation: string;
  readonly #now: () => number;
  #pair: KeyPair;
  #source: () => string;

  static async of(file: string, subject: Subject, federation: string, now: () => number): Promise<SwarmKey> {
    let pair = (await readKey(file)) ?? unkept.get(file);
    if (!pair) {
      pair = newKeyPair();
      unkept.set(file, pair);
    }
    return new SwarmKey(file, pair, subject, federation, now);
  }

  private constructor(file: string, pair: KeyPair, subject: Subject, federation: string, now: () => number) {
    this.#file = file;
    this.#pair = pair;
    this.#subject = subject;
    this.#federation = federation;
    this.#now = now;
    this.#source = tokenSource(pair, subject, federation, now);
  }

  /** A valid token at any time. */
  readonly token = (): string => this.#source();

  /** The same client, but for the key that a registration makes last. */
  keepingWith(registry: Registry): Registry {
    return {
      ...registry,
      registerSwarm: async (request, options) => {
        const isNew = await this.#keep();
        try {
          return await registry.registerSwarm(request, options);
        } catch (cause) {
          if (isNew) await this.#takeAway(registry, request.name ?? '', HiveError.from(cause));
          throw cause;
        }
      },
    };
  }

  /** Puts the key into its file; true when it was not there. Somebody else's, who was faster, is taken over. */
  async #keep(): Promise<boolean> {
    if (!unkept.has(this.#file) && (await readKey(this.#file))) return false;
    const kept = await keepKey(this.#file, this.#pair);
    unkept.delete(this.#file);
    if (kept.publicKey === this.#pair.publicKey) return true;
    this.#pair = kept;
    this.#source = tokenSource(kept, this.#subject, this.#federation, this.#now);
    return false;
  }

  /** In doubt it stays: a swarm whose key is lost is lost, too. */
  async #takeAway(registry: Registry, swarm: string, error: HiveError): Promise<void> {
    if (error.retryable || !FINAL.has(error.code) || (await this.#isBound(registry, swarm))) return;
    unkept.set(this.#file, this.#pair);
    await unlink(this.#file).catch(() => {});
  }

  async #isBound(registry: Registry, name: string): Promise<boolean> {
    try {
      const { swarm } = await registry.getSwarm({ name });
      return swarm?.publicKey === this.#pair.publicKey;
    } catch (cause) {
      const { code, reason } = HiveError.from(cause);
      return !(code === 'NOT_FOUND' || code === 'INVALID_ARGUMENT' || reason === 'NAME_TAKEN');
    }
  }
}
