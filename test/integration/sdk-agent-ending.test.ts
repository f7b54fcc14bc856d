import { expect, test } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import { announcementSubject } from '../../libs/protocol/subjects.ts';
import { until } from '../../libs/testkit/until.ts';
import { assignment, deliver, hive, nats, openBus, outcomes, start } from './agent-harness.ts';

/** What an agent does that was removed, judged or replaced, and how it stops. */

openBus();

test('an agent that was removed registers again; one that was replaced ends', async () => {
  const { pool, agent } = await start({}, (pool) => {
    pool.refuse.listAssignments = new HiveError('NOT_FOUND', 'no such agent');
  });
  await nats.restart();
  await until(() => pool.registered.length === 2);
  expect(new Set(pool.registered)).toEqual(new Set([agent.instance]));
  pool.refuse.listAssignments = new HiveError('ABORTED', 'another instance took its place');
  await nats.restart();
  expect(await agent.closed).toMatchObject({ code: 'ABORTED', reason: 'DISPLACED' });
  expect(pool.gone).toEqual([]);
});

test('an agent that hears that it was judged or replaced asks at once what is still its own', async () => {
  const { federation, pool, agent } = await start({
    handler: (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', reject)),
  });
  const tell = (event: string, data: object) =>
    hive.nc.publish(announcementSubject(federation, 'pool', event, 'code.a'), JSON.stringify(data));
  await deliver(federation, agent, assignment(agent, 't1'));
  await until(() => pool.confirmed.length === 1);
  tell('agent.state', { agent: 'code/a', instance: agent.instance, state: 'AGENT_STATE_READY', reason: 'back' });
  await until(() => agent.running === 0);
  expect(pool.reports).toEqual([]);
  tell('agent.registered', { agent: { swarm: 'code', name: 'a', instance: agent.instance } });
  pool.refuse.listAssignments = new HiveError('ABORTED', 'another instance took its place');
  tell('agent.registered', { agent: { swarm: 'code', name: 'a', instance: 'another' } });
  expect(await agent.closed).toMatchObject({ code: 'ABORTED' });
});

test('stopping lets tasks finish for a while, gives back the rest, and leaves', async () => {
  const ended: string[] = [];
  let begun = 0;
  const { federation, pool, agent } = await start({
    slots: 2,
    handler: (task, { signal }) =>
      new Promise((resolve) => {
        begun++;
        if (task.id === 'short') setTimeout(() => resolve(ended.push('short')), 50);
        signal.addEventListener('abort', () => resolve(ended.push('long')));
      }),
  });
  await deliver(federation, agent, assignment(agent, 'short'));
  await deliver(federation, agent, assignment(agent, 'long'));
  await until(() => begun === 2);
  await agent.stop(200);
  expect(ended).toEqual(['short', 'long']);
  expect(outcomes(pool)).toEqual([['short/1', 'OUTCOME_SUCCEEDED']]);
  expect(pool.gone).toEqual([agent.instance]);
  expect(await agent.closed).toBeUndefined();
});

test('stop waits for no answer of a pool that takes no reports', async () => {
  const { federation, pool, agent } = await start({}, (pool) => {
    pool.refuse.reportTask = new HiveError('UNAVAILABLE', 'no leader');
  });
  await deliver(federation, agent, assignment(agent, 't1'));
  await until(() => pool.confirmed.length === 1);
  await agent.stop(100);
  expect(pool.reports).toEqual([]);
  expect(agent.running).toBe(0);
  expect(await agent.closed).toBeUndefined();
});

test('stop ends an agent whose pool knows its key no more, and nobody says whose the swarm is', async () => {
  const { federation, pool, agent } = await start({
    handler: (_, { signal }) => new Promise((_resolve, reject) => signal.addEventListener('abort', reject)),
  });
  await deliver(federation, agent, assignment(agent, 't1'));
  await until(() => pool.confirmed.length === 1);
  const refused = new HiveError('UNAUTHENTICATED', 'not known here', { reason: 'TOKEN_KEY_UNKNOWN' });
  Object.assign(pool.refuse, { confirmAssignment: refused, reportTask: refused, listAssignments: refused });
  await deliver(federation, agent, assignment(agent, 't1', 1, { cancel: true }));
  await agent.stop();
  expect(agent.running).toBe(0);
});
