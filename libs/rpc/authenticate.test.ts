import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { ANONYMOUS } from '../protocol/principal.ts';
import { type KeyPair, newKeyPair, type Subject, signToken } from '../protocol/token.ts';
import { createAuthenticator, type KeyRing } from './authenticate.ts';
import { RecentMap } from './recent-map.ts';

const ada = newKeyPair();
const code = newKeyPair();
const other = newKeyPair();

function setUp() {
  let now = Date.UTC(2026, 0, 31, 12);
  const swarms = new Map([['main/code', code.publicKey]]);
  const operators = new Map([[ada.kid, { name: 'ada', publicKey: ada.publicKey }]]);
  const ring: KeyRing = {
    operatorKey: (kid) => operators.get(kid),
    swarmKey: (federation, swarm) => swarms.get(`${federation}/${swarm}`),
    swarmsKnown: (federation) => federation !== 'unheard',
  };
  const authenticate = createAuthenticator(ring, { ...systemClock, now: () => now });
  const token = (pair: KeyPair, subject: Subject, federation = 'main') =>
    signToken(pair, { subject, federation, nowMs: now });
  const reason = (text: string, federation = 'main') => {
    try {
      authenticate(text, federation);
      return 'accepted';
    } catch (error) {
      if (error instanceof HiveError) return error.reason;
      throw error;
    }
  };
  const advance = (ms: number) => {
    now += ms;
  };
  return { swarms, operators, authenticate, token, reason, advance };
}

const swarm = (name: string): Subject => ({ kind: 'swarm', swarm: name });
const agent = (name: string): Subject => ({ kind: 'agent', swarm: name, name: 'a1' });

test('no token is nobody; operators, swarms and agents are known by their keys', () => {
  const { authenticate, token } = setUp();
  expect(authenticate('', 'main')).toBe(ANONYMOUS);
  const operator = { kind: 'operator', name: 'ada' } as const;
  expect(authenticate(token(ada, operator), 'main')).toEqual({ ...operator, key: ada.kid });
  expect(authenticate(token(code, swarm('code')), 'main')).toEqual({
    ...swarm('code'),
    key: code.kid,
    publicKey: code.publicKey,
  });
  expect(authenticate(token(code, agent('code')), 'main')).toMatchObject({ kind: 'agent', key: code.kid });
});

test('an operator is only who the key belongs to', () => {
  const { token, reason } = setUp();
  expect(reason(token(ada, { kind: 'operator', name: 'eve' }))).toBe('TOKEN_KEY_UNKNOWN');
  expect(reason(token(other, { kind: 'operator', name: 'ada' }))).toBe('TOKEN_KEY_UNKNOWN');
});

test("another key for a registered swarm or its agents is refused, so is another swarm's agent", () => {
  const { token, reason, swarms } = setUp();
  expect(reason(token(other, swarm('code')))).toBe('NAME_TAKEN');
  expect(reason(token(other, agent('code')))).toBe('TOKEN_KEY_UNKNOWN');
  swarms.set('main/data', other.publicKey);
  expect(reason(token(code, agent('data')))).toBe('TOKEN_KEY_UNKNOWN');
});

test('a swarm that is not registered comes with its own key, its agents must wait', () => {
  const { token, reason, authenticate } = setUp();
  expect(authenticate(token(other, swarm('new')), 'main')).toEqual({
    ...swarm('new'),
    key: other.kid,
    publicKey: other.publicKey,
  });
  expect(reason(token(other, agent('new')))).toBe('SWARM_UNKNOWN');
});

test('an agent of a swarm that may only not be known yet is told to try again', () => {
  const { token, authenticate } = setUp();
  const call = () => authenticate(token(other, agent('new'), 'unheard'), 'unheard');
  expect(call).toThrow(expect.objectContaining({ code: 'UNAVAILABLE', retryable: true, reason: 'REGISTRY_NOT_HEARD' }));
});

test('what was verified counts only while the key does', () => {
  const { token, reason, swarms, operators } = setUp();
  const ofSwarm = token(code, swarm('code'));
  const ofOperator = token(ada, { kind: 'operator', name: 'ada' });
  expect([reason(ofSwarm), reason(ofOperator)]).toEqual(['accepted', 'accepted']);
  swarms.set('main/code', other.publicKey);
  operators.delete(ada.kid);
  expect([reason(ofSwarm), reason(ofOperator)]).toEqual(['NAME_TAKEN', 'TOKEN_KEY_UNKNOWN']);
});

test('a first key no longer counts once the name is taken by another', () => {
  const { token, reason, swarms } = setUp();
  const first = token(other, swarm('new'));
  expect(reason(first)).toBe('accepted');
  swarms.set('main/new', code.publicKey);
  expect(reason(first)).toBe('NAME_TAKEN');
});

test('what was verified ends with the token, and is for one federation', () => {
  const { token, reason, advance } = setUp();
  const text = token(code, swarm('code'));
  expect(reason(text)).toBe('accepted');
  expect(reason(text, 'other')).toBe('TOKEN_AUDIENCE');
  advance(329_999);
  expect(reason(text)).toBe('accepted');
  advance(1);
  expect(reason(text)).toBe('TOKEN_EXPIRED');
});

test('a forged token is not remembered as a good one', () => {
  const { token, reason } = setUp();
  const good = token(code, swarm('code'));
  const forged = `${good.slice(0, -4)}AAAA`;
  expect([reason(good), reason(forged), reason(forged)]).toEqual(['accepted', 'TOKEN_FORGED', 'TOKEN_FORGED']);
});

test('a recent map is bounded and keeps what is used', () => {
  const map = new RecentMap<number>(10);
  map.set('used', 0);
  for (let i = 1; i <= 1000; i++) {
    map.set(`k${i}`, i);
    expect(map.get('used')).toBe(0);
    expect(map.size).toBeLessThanOrEqual(20);
  }
  expect(map.get('k1')).toBeUndefined();
});
