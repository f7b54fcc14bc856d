import { expect, test } from 'vitest';
import type { Clock } from '../../libs/kernel/clock.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { BACKGROUND } from '../../libs/rpc/observe.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Swarm } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { RegistryFollower } from './registry-follower.ts';

const swarm = (name: string) => ({ name, publicKey: '', registeredAt: '2026-01-01T00:00:00.000Z' }) as Swarm;
const call = { trace: BACKGROUND, signal: new AbortController().signal };

/** A registry with the swarm `late`, whose list comes when the test says so and is older than the swarm. */
function registry() {
  let list = () => {};
  const listed = new Promise<void>((resolve) => {
    list = resolve;
  });
  const asked: string[] = [];
  const client = {
    listSwarms: () => listed.then(() => ({ swarms: [swarm('a')], nextPageToken: '', revision: '1' })),
    async *watchSwarms(_: object, { signal }: { signal: AbortSignal }) {
      yield { revision: '1', changed: [], removed: [] };
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve));
    },
    async getSwarm({ name }: { name: string }) {
      asked.push(name);
      if (name === 'late') return { swarm: swarm('late') };
      throw new HiveError('NOT_FOUND', 'no');
    },
  };
  return { client: client as never, list, asked };
}

test('a registry that was not heard yet is waited for, and asked for what its list has not', async () => {
  const { client, list, asked } = registry();
  await using follower = new RegistryFollower(client, systemClock, () => {});
  const looked = follower.lookUp('late', call);
  list();
  await looked;
  expect(follower.swarms.registrationOf('late')).toBe('2026-01-01T00:00:00.000Z');
  await follower.lookUp('a', call);
  await follower.lookUp('none', call);
  expect([asked, follower.swarms.keyOf('none')]).toEqual([['late', 'none'], undefined]);
});

test('it is not waited for without end', async () => {
  const timers: (() => void)[] = [];
  const clock: Clock = {
    ...systemClock,
    after: (_, run) => {
      timers.push(run);
      return { [Symbol.dispose]: () => {} };
    },
  };
  const { client, list, asked } = registry();
  await using follower = new RegistryFollower(client, clock, () => {});
  const looked = follower.lookUp('late', call);
  await until(() => timers.length === 1);
  timers[0]?.();
  await looked;
  expect([asked, follower.synced]).toEqual([[], false]);
  list();
});
