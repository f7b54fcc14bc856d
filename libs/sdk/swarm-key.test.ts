import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { HiveError, notFound } from '../kernel/errors.ts';
import { readKey, readOrCreateKey, swarmKeyFile } from './keys.ts';
import { SwarmKey } from './swarm-key.ts';

const home = mkdtempSync(join(tmpdir(), 'hivebus-swarm-key-'));
afterAll(() => rmSync(home, { recursive: true }));

/** A registry that answers a registration with `refusal`, if any, and knows the swarm by `publicKey`. */
const registry = (refusal?: HiveError, publicKey?: string) =>
  ({
    registerSwarm: async () => {
      if (refusal) throw refusal;
      return {};
    },
    getSwarm: async ({ name }: { name: string }) => {
      if (publicKey === undefined) throw notFound('swarm', name);
      return { swarm: { name, publicKey } };
    },
  }) as never;

const keyOf = (swarm: string) => {
  const file = swarmKeyFile(home, 'main', swarm);
  return { file, made: SwarmKey.of(file, { kind: 'swarm', swarm }, 'main', Date.now) };
};

test('a key is in no file before the registration, and whoever asks gets the same', async () => {
  const { file, made } = keyOf('code');
  const key = await made;
  expect(existsSync(file)).toBe(false);
  await key.keepingWith(registry()).registerSwarm({ name: 'code' });
  const kept = await readKey(file);
  expect(JSON.parse(Buffer.from(key.token().split('.')[0] ?? '', 'base64url').toString()).kid).toBe(kept?.kid);
});

test.each([
  ['refused for good', new HiveError('INVALID_ARGUMENT', 'no'), false],
  ['of another', new HiveError('PERMISSION_DENIED', 'taken', { reason: 'NAME_TAKEN' }), false],
  ['not answered', new HiveError('DEADLINE_EXCEEDED', 'late'), true],
  ['to be tried again', new HiveError('UNAVAILABLE', 'later'), true],
])('a registration that is %s: the key stays only while the swarm may be bound to it', async (what, error, stays) => {
  const { file, made } = keyOf(`s-${what.replaceAll(' ', '-')}`);
  const client = (await made).keepingWith(registry(error));
  await expect(client.registerSwarm({ name: 's' })).rejects.toBe(error);
  expect(existsSync(file)).toBe(stays);
});

test('a key that the registry knows stays, and so does one that was there before', async () => {
  const refusal = new HiveError('INVALID_ARGUMENT', 'no');
  const { file, made } = keyOf('bound');
  const key = await made;
  await key.keepingWith(registry()).registerSwarm({ name: 'bound' });
  const bound = await readKey(file);
  await expect(key.keepingWith(registry(refusal, bound?.publicKey)).registerSwarm({ name: 'bound' })).rejects.toBe(
    refusal,
  );
  expect(existsSync(file)).toBe(true);
  const old = keyOf('old');
  await readOrCreateKey(old.file);
  await expect((await old.made).keepingWith(registry(refusal)).registerSwarm({ name: 'old' })).rejects.toBe(refusal);
  expect(existsSync(old.file)).toBe(true);
});

test('a key that somebody else has made meanwhile is taken over', async () => {
  const { file, made } = keyOf('raced');
  const key = await made;
  const theirs = await readOrCreateKey(file);
  await key.keepingWith(registry()).registerSwarm({ name: 'raced' });
  expect(JSON.parse(Buffer.from(key.token().split('.')[0] ?? '', 'base64url').toString()).kid).toBe(theirs.kid);
});
