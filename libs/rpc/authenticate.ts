import type { KeyObject } from 'node:crypto';
import type { Clock } from '../kernel/clock.ts';
import { HiveError, quote } from '../kernel/errors.ts';
import { ANONYMOUS, type Principal } from '../protocol/principal.ts';
import {
  type ParsedToken,
  parseToken,
  publicKeyObject,
  type Subject,
  subjectText,
  thumbprint,
  tokenError,
  verifyToken,
} from '../protocol/token.ts';
import { RecentMap } from './recent-map.ts';

/** The keys that a server knows, answered from memory. Public keys are base64url of the 32 raw bytes. */
export interface KeyRing {
  /** The operator whose key has this thumbprint. */
  operatorKey(kid: string): { readonly name: string; readonly publicKey: string } | undefined;
  /** The key that owns a swarm's name; undefined when the swarm is not registered, as far as is known here. */
  swarmKey(federation: string, swarm: string): string | undefined;
  /** False while it is not known yet which swarms are registered; left out = it always is. */
  swarmsKnown?(federation: string): boolean;
}

/**
 * Who sent `token`; an empty one is nobody. Throws UNAUTHENTICATED, with a reason, for one that is not valid, and
 * PERMISSION_DENIED for one that another key than the owner's has signed for a swarm's name.
 */
export type Authenticate = (token: string, federation: string) => Principal;

/** What is remembered of a token. There may be thousands, so it is only what later calls need. */
interface Verified {
  readonly federation: string;
  readonly expiresAtMs: number;
  readonly principal: Exclude<Principal, { kind: 'anonymous' | 'service' }>;
  /** The key that it was verified with, and whether the token itself carries it. */
  readonly publicKey: string;
  readonly isOwnKey: boolean;
}

/**
 * Verifying takes 70 to 100 µs and clients send the same token for minutes, so what was verified is remembered until it
 * expires. The key is asked for at every call nevertheless: one that was changed or forgotten counts at once.
 */
export function createAuthenticator(keyRing: KeyRing, clock: Clock, limit = 10_000): Authenticate {
  const verified = new RecentMap<Verified>(limit);
  const keys = new RecentMap<KeyObject>(limit);

  const keyObject = (publicKey: string): KeyObject => {
    let key = keys.get(publicKey);
    if (!key) {
      key = publicKeyObject(publicKey);
      keys.set(publicKey, key);
    }
    return key;
  };

  return (text, federation) => {
    if (text === '') return ANONYMOUS;
    const nowMs = clock.now();
    const known = verified.get(text);
    if (known !== undefined && known.federation === federation && nowMs < known.expiresAtMs) {
      if (isCurrent(keyRing, known)) return known.principal;
    }
    verified.delete(text);
    const token = parseToken(text, federation, nowMs);
    const publicKey = keyFor(keyRing, token);
    verifyToken(token, keyObject(publicKey));
    const principal = principalOf(token, publicKey);
    const { expiresAtMs } = token;
    verified.set(copied(text), { federation, expiresAtMs, principal, publicKey, isOwnKey: token.ownKey === publicKey });
    return principal;
  };
}

/** A token is a part of a message's headers: as a key it would keep all of them. */
const copied = (text: string): string => Buffer.from(text, 'latin1').toString('latin1');

function principalOf({ subject, kid: key }: ParsedToken, publicKey: string): Verified['principal'] {
  return subject.kind === 'swarm' ? { ...subject, key, publicKey } : { ...subject, key };
}

/** Is the key that verified it still the one? Whenever in doubt no, and it is verified again. */
function isCurrent(keyRing: KeyRing, { principal, publicKey, federation, isOwnKey }: Verified): boolean {
  if (principal.kind !== 'operator') {
    const key = keyRing.swarmKey(federation, principal.swarm);
    return key === publicKey || (key === undefined && principal.kind === 'swarm' && isOwnKey);
  }
  const key = keyRing.operatorKey(principal.key);
  return key?.publicKey === publicKey && key.name === principal.name;
}

/** The key that must have signed a token, by what is known now. */
function keyFor(keyRing: KeyRing, token: ParsedToken): string {
  const { subject, kid } = token;
  if (subject.kind === 'operator') {
    const key = keyRing.operatorKey(kid);
    if (key?.name === subject.name) return key.publicKey;
    const owner = key ? `belongs to operator ${key.name}` : 'is not known here';
    throw tokenError('TOKEN_KEY_UNKNOWN', `the key ${quote(kid)} of ${subjectText(subject)} ${owner}`);
  }
  const key = keyRing.swarmKey(token.federation, subject.swarm);
  if (key === undefined) return keyOfUnregistered(keyRing, subject, token);
  if (thumbprint(key) === kid) return key;
  const message = `swarm ${subject.swarm} belongs to the key ${thumbprint(key)}, and the token was signed by ${quote(kid)}`;
  const hint = `${message}: use its owner's key, or another name`;
  if (subject.kind !== 'swarm' || token.ownKey === undefined) throw tokenError('TOKEN_KEY_UNKNOWN', hint);
  verifyToken(token, publicKeyObject(token.ownKey)); // the caller is who he says, and the name is another's
  throw new HiveError('PERMISSION_DENIED', hint, { reason: 'NAME_TAKEN' });
}

/** Trust on first use: a swarm may come with a key of its own; its agents may only after it has registered. */
function keyOfUnregistered(keyRing: KeyRing, subject: Subject & { swarm: string }, token: ParsedToken): string {
  if (subject.kind === 'swarm' && token.ownKey !== undefined) return token.ownKey;
  if (keyRing.swarmsKnown?.(token.federation) === false) {
    const message = `the registry was not heard yet, so the key of swarm ${subject.swarm} is not known; try again`;
    throw new HiveError('UNAVAILABLE', message, { retryAfterMs: 500, reason: 'REGISTRY_NOT_HEARD' });
  }
  if (subject.kind === 'swarm') {
    throw tokenError(
      'TOKEN_KEY_UNKNOWN',
      `swarm ${subject.swarm} is not registered and its token carries no key (jwk)`,
    );
  }
  // Retryable: a service that follows the registry may be a moment behind it.
  const message = `swarm ${subject.swarm} of agent ${subject.name} is not registered in ${token.federation}`;
  throw tokenError('SWARM_UNKNOWN', message, true);
}
