import { jetstreamManager } from '@nats-io/jetstream';
import { headers } from '@nats-io/nats-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { tokenSource } from '../../libs/protocol/token.ts';
import { readOrCreateKey, swarmKeyFile } from '../../libs/sdk/keys.ts';
import { Closing } from '../../libs/service/closing.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { closePool, hive, home, openPoolWith, servePool, swarm } from './pool-harness.ts';

/** More than the pool has room for. */

const MAX_QUEUED = 2;

beforeAll(() => openPoolWith({ maxQueued: MAX_QUEUED }));
afterAll(closePool);

/** The bodies of all records of the pool's journal. */
async function records(): Promise<string[]> {
  const { streams } = await jetstreamManager(hive.nc);
  const { state } = await streams.info('HIVE_main_pool');
  const bodies: string[] = [];
  for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
    bodies.push((await streams.getMessage('HIVE_main_pool', { seq }))?.string() ?? '');
  }
  return bodies;
}

test('that there is no room is told with a hint and in no record, and the same request is taken when there is some', async () => {
  await using closing = new Closing();
  await servePool(closing, { maxQueued: MAX_QUEUED }); // whichever is asked
  const code = await swarm(closing);
  const key = await readOrCreateKey(swarmKeyFile(home, 'main', code.name));
  const token = tokenSource(key, { kind: 'swarm', swarm: code.name }, 'main', Date.now);
  const ask = async (counter: number) => {
    const own = headers();
    own.set('authorization', `Bearer ${token()}`);
    own.set('hive-request-id', `by-hand:${counter}`);
    const body = JSON.stringify({ spec: { swarm: code.name, type: 'nobody' }, id: `${code.name}-${counter}` });
    const answer = await hive.nc.request('hive.main.rpc.pool.SubmitTask', body, { headers: own, timeout: 10_000 });
    return answer.json<{ code?: string; retryable?: boolean; retryAfterMs?: number; created?: boolean }>();
  };
  const taken = [await ask(1), await ask(2)];
  expect(taken.map(({ created }) => created)).toEqual([true, true]);
  const over = await Promise.all(Array.from({ length: 50 }, (_, i) => ask(3 + i)));
  for (const one of over)
    expect(one).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, retryAfterMs: 1000 });
  const client = await refused(code.submitTask({ type: 'nobody' }));
  expect(client).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'QUEUE_FULL', retryAfterMs: 1000 });
  const kept = (await records()).join('\n');
  expect(kept).toContain('"by-hand@');
  expect(kept).not.toContain('RESOURCE_EXHAUSTED');

  await code.hive.pool.cancelTask({ id: `${code.name}-1` });
  expect(await ask(3)).toMatchObject({ created: true });
  // From now on that is the answer, room or not.
  expect(await ask(3)).toMatchObject({ created: true });
  expect(await ask(4)).toMatchObject({ code: 'RESOURCE_EXHAUSTED' });
});
