import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import {
  keyPairFromPem,
  newKeyPair,
  parseToken,
  privateKeyPem,
  publicKeyObject,
  signToken,
  thumbprint,
  tokenSource,
  verifyToken,
} from './token.ts';

const NOW = Date.UTC(2026, 0, 31, 12);
const pair = newKeyPair();
const operator = { subject: { kind: 'operator', name: 'ada' }, federation: 'main', nowMs: NOW } as const;

const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
const HEADER = { alg: 'EdDSA', typ: 'JWT', kid: pair.kid };
const CLAIMS = { iss: 'operator:ada', sub: 'operator:ada', aud: 'main', iat: NOW / 1000, exp: NOW / 1000 + 300 };

/** A token with any header and claims, signed by `pair`. */
function forge(header: object, claims: object): string {
  const signed = `${part({ ...HEADER, ...header })}.${part({ ...CLAIMS, ...claims })}`;
  return `${signed}.${sign(null, Buffer.from(signed), pair.privateKey).toString('base64url')}`;
}

function accept(token: string, publicKey = pair.publicKey) {
  const parsed = parseToken(token, 'main', NOW);
  verifyToken(parsed, publicKeyObject(publicKey));
  return parsed;
}

function reasonOf(run: () => unknown): string | undefined {
  try {
    run();
  } catch (error) {
    if (error instanceof HiveError && error.code === 'UNAUTHENTICATED') return error.reason;
    throw error;
  }
  return 'accepted';
}

test('a token says who signed it, for which federation and until when', () => {
  expect(accept(signToken(pair, operator))).toMatchObject({
    kid: pair.kid,
    ownKey: pair.publicKey,
    subject: { kind: 'operator', name: 'ada' },
    federation: 'main',
    expiresAtMs: NOW + 330_000,
  });
  const agent = { kind: 'agent', swarm: 'code', name: 'lint-1' } as const;
  expect(accept(signToken(pair, { ...operator, subject: agent })).subject).toEqual(agent);
});

test('the tests forge tokens that are right but for one thing', () => {
  expect(reasonOf(() => accept(forge({}, {})))).toBe('accepted');
});

test.each([
  ['nothing like a token', 'abc', 'TOKEN_MALFORMED'],
  ['two parts', 'a.b', 'TOKEN_MALFORMED'],
  ['no JSON', 'a.b.c', 'TOKEN_MALFORMED'],
  ['too long', `${forge({ pad: 'x'.repeat(5000) }, {})}`, 'TOKEN_MALFORMED'],
  ['more than base64url', `${forge({}, {})}\r\nx: y`, 'TOKEN_MALFORMED'],
  ['no kid', forge({ kid: undefined }, {}), 'TOKEN_MALFORMED'],
  ['alg none', `${part({ ...HEADER, alg: 'none' })}.${part(CLAIMS)}.`, 'TOKEN_ALGORITHM'],
  ['alg HS256', hs256(), 'TOKEN_ALGORITHM'],
  ['expired', forge({}, { iat: NOW / 1000 - 400, exp: NOW / 1000 - 31 }), 'TOKEN_EXPIRED'],
  ['from the future', forge({}, { iat: NOW / 1000 + 31, exp: NOW / 1000 + 60 }), 'TOKEN_NOT_YET_VALID'],
  ['too long lived', forge({}, { exp: NOW / 1000 + 601 }), 'TOKEN_LIFETIME'],
  ['no times', forge({}, { exp: undefined }), 'TOKEN_MALFORMED'],
  ['times as text', forge({}, { iat: '1', exp: '2' }), 'TOKEN_MALFORMED'],
  ['another audience', forge({}, { aud: 'other' }), 'TOKEN_AUDIENCE'],
  ['a list of audiences', forge({}, { aud: ['main'] }), 'TOKEN_AUDIENCE'],
  ['an agent by another swarm', forge({}, { iss: 'swarm:b', sub: 'agent:a/x' }), 'TOKEN_ISSUER'],
  ['an operator by a swarm', forge({}, { iss: 'swarm:b' }), 'TOKEN_ISSUER'],
  ['a subject of no kind', forge({}, { sub: 'service:pool', iss: 'service:pool' }), 'TOKEN_MALFORMED'],
  ['a bad name', forge({}, { sub: 'operator:A B', iss: 'operator:A B' }), 'TOKEN_MALFORMED'],
  ['a jwk of another key', forge({ jwk: jwk(newKeyPair().publicKey) }, {}), 'TOKEN_FORGED'],
  ['a jwk of another kind', forge({ jwk: { kty: 'RSA' } }, {}), 'TOKEN_MALFORMED'],
])('refused: %s', (_, token, reason) => {
  expect(reasonOf(() => accept(token))).toBe(reason);
});

test('a changed body, a changed signature or another key is a forgery', () => {
  const [head, , signature] = forge({}, {}).split('.');
  expect(reasonOf(() => accept(`${head}.${part({ ...CLAIMS, exp: CLAIMS.exp + 1 })}.${signature}`))).toBe(
    'TOKEN_FORGED',
  );
  expect(reasonOf(() => accept(forge({}, {}).slice(0, -10)))).toBe('TOKEN_FORGED');
  expect(reasonOf(() => accept(forge({}, {}), newKeyPair().publicKey))).toBe('TOKEN_FORGED');
});

test('a key survives its PEM form; other kinds of keys are refused', () => {
  expect(keyPairFromPem(privateKeyPem(pair))).toMatchObject({ publicKey: pair.publicKey, kid: pair.kid });
  expect(thumbprint(pair.publicKey)).toMatch(/^[\w-]{22}$/);
  const { privateKey: x25519 } = generateKeyPairSync('x25519', {
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  expect(() => keyPairFromPem(x25519)).toThrow('must be an Ed25519 key, got x25519');
  expect(() => keyPairFromPem('junk')).toThrow('PKCS 8 PEM');
});

test('a token source renews at half the lifetime, and when the clock was set back', () => {
  let now = NOW;
  const source = tokenSource(pair, operator.subject, 'main', () => now);
  const first = source();
  now += 149_999;
  expect(source()).toBe(first);
  now += 1;
  const second = source();
  expect(second).not.toBe(first);
  now -= 60_000;
  expect(source()).not.toBe(second);
});

function jwk(x: string) {
  return { kty: 'OKP', crv: 'Ed25519', x };
}

/** The classic: the public key as the secret of a MAC. */
function hs256(): string {
  const signed = `${part({ ...HEADER, alg: 'HS256' })}.${part(CLAIMS)}`;
  return `${signed}.${createHmac('sha256', pair.publicKey).update(signed).digest('base64url')}`;
}

test('keys can be made by the thousand, with garbage collected at any moment', () => {
  const made = new Set<string>();
  for (let i = 0; i < 1000; i++) made.add(newKeyPair().publicKey);
  expect(made.size).toBe(1000);
});
