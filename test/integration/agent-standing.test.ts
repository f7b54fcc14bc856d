import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../libs/sdk/connect.ts';
import { createSwarm } from '../../libs/sdk/swarm.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import { closePool, hive, home, inState, openPool, server, swarm } from './pool-harness.ts';

/** What an agent does when its swarm is no longer registered, or another's. */

beforeAll(openPool);
afterAll(closePool);

/** Runs until it is stopped, and counts both. */
function endless() {
  const seen = { begun: 0, stopped: 0 };
  const handler: TaskHandler = (_, { signal }) => {
    seen.begun++;
    return new Promise((_resolve, reject) =>
      signal.addEventListener('abort', () => {
        seen.stopped++;
        reject(signal.reason);
      }),
    );
  };
  return { seen, handler };
}

test('when its swarm is deregistered, what it runs is stopped; registered anew it works on', async () => {
  await using closing = new Closing();
  const owner = await swarm(closing);
  const { seen, handler } = endless();
  const told: string[] = [];
  const agent = closing.use(
    await owner.createAgent({ name: 'x', type: 'lint', handler, onEvent: (text) => told.push(text) }),
  );
  await owner.submitTask({ type: 'lint' });
  await until(() => seen.begun === 1);
  await owner.close({ deregister: true });
  await until(() => seen.stopped === 1 && agent.running === 0);
  expect(told.join()).not.toContain('goes on');
  const again = closing.use(await createSwarm({ hive, name: owner.name }));
  const { id } = await again.submitTask({ type: 'lint' });
  await inState(id, 'RUNNING');
  await until(() => seen.begun === 2);
});

test('when another key owns the name of its swarm, it stops what it runs and gives up for good', async () => {
  await using closing = new Closing();
  const owner = await swarm(closing);
  const { seen, handler } = endless();
  const agent = closing.use(await owner.createAgent({ name: 'x', type: 'lint', handler }));
  await owner.submitTask({ type: 'lint' });
  await until(() => seen.begun === 1);
  const home = await mkdtemp(join(tmpdir(), 'hivebus-other-'));
  closing.use({ [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }) });
  const stranger = closing.use(await connect({ servers: server.url, home, env: {} }));
  await owner.close({ deregister: true });
  closing.use(await createSwarm({ hive: stranger, name: owner.name }));
  expect(await agent.closed).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'NAME_TAKEN' });
  expect(seen).toEqual({ begun: 1, stopped: 1 });
  expect(agent.running).toBe(0);
});

test('what is published when the connection is closed is lost, and ends nobody who still beats', async () => {
  const own = await connect({ servers: server.url, home, env: {} });
  await own.close();
  expect(() => own.publish('hive.main.heartbeat.x', 'hivebus.registry.v1.HeartbeatRequest', {})).not.toThrow();
});
