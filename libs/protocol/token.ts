import { createHash, createPrivateKey, createPublicKey, type KeyObject, randomBytes, sign, verify } from 'node:crypto';
import { HiveError, quote } from '../kernel/errors.ts';
import { isName } from '../kernel/names.ts';

/**
 * Tokens are JWTs (RFC 7519) signed with Ed25519 (RFC 8037, `alg` EdDSA and nothing else), short-lived, for one
 * federation. Whoever owns the key may sign for itself (`operator:<name>`, `swarm:<swarm>`); a swarm's key may also
 * sign for its own agents (`agent:<swarm>/<name>`).
 */

/** Longest lifetime that is accepted. Clients use half of it and renew. */
const MAX_LIFETIME_MS = 600_000;
const LIFETIME_MS = 300_000;
/** How far clocks may differ. */
const LEEWAY_MS = 30_000;
const MAX_TOKEN_LENGTH = 4096;
const JWT = /^([\w-]+)\.([\w-]+)\.([\w-]*)$/;

export interface KeyPair {
  readonly privateKey: KeyObject;
  /** base64url of the 32 raw bytes. */
  readonly publicKey: string;
  /** The public key's thumbprint. */
  readonly kid: string;
}

/** Who a token is about, or who signed it. */
export type Subject =
  | { readonly kind: 'operator'; readonly name: string }
  | { readonly kind: 'swarm'; readonly swarm: string }
  | { readonly kind: 'agent'; readonly swarm: string; readonly name: string };

export interface TokenOptions {
  readonly subject: Subject;
  readonly federation: string;
  /** Milliseconds since 1970. */
  readonly nowMs: number;
  readonly lifetimeMs?: number;
}

/** A token whose form and claims are right; its signature is checked by `verifyToken`. */
export interface ParsedToken {
  readonly kid: string;
  /** The public key that the token itself carries, base64url; its thumbprint is `kid`. */
  readonly ownKey: string | undefined;
  readonly subject: Subject;
  readonly federation: string;
  readonly expiresAtMs: number;
  /** What was signed, and the signature. */
  readonly signed: string;
  readonly signature: Buffer;
}

export type TokenFault =
  | 'TOKEN_MALFORMED'
  | 'TOKEN_ALGORITHM'
  | 'TOKEN_FORGED'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_NOT_YET_VALID'
  | 'TOKEN_LIFETIME'
  | 'TOKEN_AUDIENCE'
  | 'TOKEN_ISSUER'
  | 'TOKEN_KEY_UNKNOWN'
  | 'SWARM_UNKNOWN';

export const tokenError = (reason: TokenFault, message: string, retryable = false): HiveError =>
  new HiveError('UNAUTHENTICATED', message, { reason, retryable });

/** A key's short name: base64url of the SHA-256 of its raw public bytes, cut at 22 characters (132 bits). */
export const thumbprint = (publicKey: string): string =>
  createHash('sha256').update(Buffer.from(publicKey, 'base64url')).digest('base64url').slice(0, 22);

/**
 * Any 32 random bytes are an Ed25519 key (RFC 8032, 5.1.5). Not by `generateKeyPairSync`: the job that has made a key locks
 * that key when it is collected as garbage, and in Node 20 a process stands still for ever when that happens while the
 * same key is exported.
 */
export const newKeyPair = (): KeyPair => keyPairFromSeed(randomBytes(32));

/** From PKCS 8 PEM. Throws INVALID_ARGUMENT for anything but an Ed25519 private key. */
export function keyPairFromPem(pem: string): KeyPair {
  let key: KeyObject;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    throw new HiveError('INVALID_ARGUMENT', 'the key must be an Ed25519 private key in PKCS 8 PEM form', { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519') {
    throw new HiveError('INVALID_ARGUMENT', `the key must be an Ed25519 key, got ${key.asymmetricKeyType}`);
  }
  return keyPairOf(key);
}

const PKCS8_OF_ED25519 = Buffer.from('302e020100300506032b657004220420', 'hex');

/** From 32 bytes (RFC 8032: the private key itself). */
export const keyPairFromSeed = (seed: Buffer): KeyPair =>
  keyPairOf(createPrivateKey({ key: Buffer.concat([PKCS8_OF_ED25519, seed]), format: 'der', type: 'pkcs8' }));

export const privateKeyPem = (pair: KeyPair): string =>
  pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

function keyPairOf(privateKey: KeyObject): KeyPair {
  const publicKey = createPublicKey(privateKey).export({ format: 'jwk' }).x as string;
  return { privateKey, publicKey, kid: thumbprint(publicKey) };
}

/** Is it base64url of 32 bytes, as a raw Ed25519 public key is? */
export const isPublicKey = (text: string): boolean => /^[\w-]{43}$/.test(text);

export const publicKeyObject = (publicKey: string): KeyObject =>
  createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x: publicKey }, format: 'jwk' });

const json64 = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A signed token. It carries the public key, so that a swarm's first registration can bind its name to it. */
export function signToken(pair: KeyPair, options: TokenOptions): string {
  const { subject, federation, nowMs, lifetimeMs = LIFETIME_MS } = options;
  const jwk = { kty: 'OKP', crv: 'Ed25519', x: pair.publicKey };
  const iat = Math.floor(nowMs / 1000);
  const claims = {
    iss: subjectText(ownerOf(subject)),
    sub: subjectText(subject),
    aud: federation,
    iat,
    exp: iat + Math.floor(lifetimeMs / 1000),
  };
  const signed = `${json64({ alg: 'EdDSA', typ: 'JWT', kid: pair.kid, jwk })}.${json64(claims)}`;
  return `${signed}.${sign(null, Buffer.from(signed), pair.privateKey).toString('base64url')}`;
}

/** The key's owner: agents have none of their own. */
const ownerOf = (subject: Subject): Subject =>
  subject.kind === 'agent' ? { kind: 'swarm', swarm: subject.swarm } : subject;

/** Throws UNAUTHENTICATED, with a reason, for every fault that can be seen without the key. */
export function parseToken(token: string, federation: string, nowMs: number): ParsedToken {
  if (token.length > MAX_TOKEN_LENGTH) {
    throw malformed(`it has ${token.length} characters, at most ${MAX_TOKEN_LENGTH} are taken`);
  }
  // Strictly: the decoder would pass over what is not base64url, and one token could be written in many ways.
  const [, head = '', body = '', signature = ''] = JWT.exec(token) ?? [];
  if (head === '') throw malformed('it must have three parts in base64url, split by dots');
  const { alg, kid, jwk } = jsonPart(head, 'header');
  if (alg !== 'EdDSA') throw tokenError('TOKEN_ALGORITHM', `the token's alg must be EdDSA, got ${quote(alg)}`);
  if (typeof kid !== 'string') throw malformed('its header needs a kid');
  const claims = jsonPart(body, 'body');
  checkTimes(claims, nowMs);
  if (claims.aud !== federation) {
    const message = `the token is for federation ${quote(claims.aud)}, the call for ${quote(federation)}`;
    throw tokenError('TOKEN_AUDIENCE', message);
  }
  return {
    kid,
    ownKey: ownKeyOf(jwk, kid),
    subject: subjectOf(claims),
    federation,
    expiresAtMs: (claims.exp as number) * 1000 + LEEWAY_MS,
    signed: `${head}.${body}`,
    signature: Buffer.from(signature, 'base64url'),
  };
}

/** Throws UNAUTHENTICATED unless `publicKey` made the token's signature. */
export function verifyToken(token: ParsedToken, publicKey: KeyObject): void {
  if (token.signature.length !== 64 || !verify(null, Buffer.from(token.signed), publicKey, token.signature)) {
    const message = `the token of ${subjectText(token.subject)} is not signed by the key ${quote(token.kid)} it names`;
    throw tokenError('TOKEN_FORGED', message);
  }
}

export function subjectText(subject: Subject): string {
  switch (subject.kind) {
    case 'operator':
      return `operator:${subject.name}`;
    case 'swarm':
      return `swarm:${subject.swarm}`;
    case 'agent':
      return `agent:${subject.swarm}/${subject.name}`;
  }
}

type Claims = Record<string, unknown>;

const malformed = (why: string): HiveError => tokenError('TOKEN_MALFORMED', `the token is not a valid JWT: ${why}`);

function jsonPart(part: string, what: string): Claims {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString());
    if (typeof value === 'object' && value !== null) return { ...value };
  } catch {
    // told below: the parser's message says nothing about a token
  }
  throw malformed(`its ${what} must be a JSON object in base64url`);
}

function checkTimes(claims: Claims, nowMs: number): void {
  const { iat, exp } = claims;
  if (!Number.isSafeInteger(iat) || !Number.isSafeInteger(exp)) throw malformed('iat and exp must be whole seconds');
  const [issuedMs, expiresMs] = [(iat as number) * 1000, (exp as number) * 1000];
  if (expiresMs - issuedMs > MAX_LIFETIME_MS) {
    const message = `the token lives ${(expiresMs - issuedMs) / 1000} s, at most ${MAX_LIFETIME_MS / 1000} s are allowed`;
    throw tokenError('TOKEN_LIFETIME', message);
  }
  if (issuedMs > nowMs + LEEWAY_MS) {
    const message = `the token is valid from ${timeText(issuedMs)}, it is ${timeText(nowMs)}: check the clocks`;
    throw tokenError('TOKEN_NOT_YET_VALID', message);
  }
  if (expiresMs + LEEWAY_MS <= nowMs) {
    const message = `the token expired at ${timeText(expiresMs)}, it is ${timeText(nowMs)}: sign a new one`;
    throw tokenError('TOKEN_EXPIRED', message);
  }
}

/** A time for people; claims can be far beyond what a Date holds. */
const timeText = (ms: number): string => (Math.abs(ms) < 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`);

function ownKeyOf(jwk: unknown, kid: string): string | undefined {
  if (jwk === undefined) return undefined;
  const { kty, crv, x } = typeof jwk === 'object' && jwk !== null ? ({ ...jwk } as Claims) : {};
  if (kty !== 'OKP' || crv !== 'Ed25519' || typeof x !== 'string' || !isPublicKey(x)) {
    throw malformed('its jwk must be an Ed25519 public key');
  }
  if (thumbprint(x) !== kid) throw tokenError('TOKEN_FORGED', `the token's jwk is not the key ${quote(kid)} it names`);
  return x;
}

function subjectOf(claims: Claims): Subject {
  const subject = parseSubject(claims.sub);
  const wanted = subjectText(ownerOf(subject));
  if (claims.iss === wanted) return subject;
  const message = `the token of ${subjectText(subject)} must be issued by ${wanted}, got ${quote(claims.iss)}`;
  throw tokenError('TOKEN_ISSUER', message);
}

function parseSubject(text: unknown): Subject {
  const [, kind, first, second] = /^(operator|swarm|agent):([^/]*)(?:\/(.*))?$/.exec(String(text)) ?? [];
  if (isName(first)) {
    if (kind === 'operator' && second === undefined) return { kind, name: first };
    if (kind === 'swarm' && second === undefined) return { kind, swarm: first };
    if (kind === 'agent' && isName(second)) return { kind, swarm: first, name: second };
  }
  const forms = 'operator:<name>, swarm:<swarm> or agent:<swarm>/<name>';
  throw malformed(`sub must be ${forms}, got ${quote(text)}`);
}

/** Gives a valid token at any time: signs one when the last has used up half its life. */
export function tokenSource(pair: KeyPair, subject: Subject, federation: string, now: () => number): () => string {
  let token = '';
  let renewAtMs = Number.NEGATIVE_INFINITY;
  let signedAtMs = Number.POSITIVE_INFINITY;
  return () => {
    const nowMs = now();
    // Before the last signature: the clock was set back, and the token may not be valid yet.
    if (nowMs >= renewAtMs || nowMs < signedAtMs) {
      token = signToken(pair, { subject, federation, nowMs });
      signedAtMs = nowMs;
      renewAtMs = nowMs + LIFETIME_MS / 2;
    }
    return token;
  };
}
