import { afterAll, beforeAll, expect, test } from 'vitest';
import { assignmentSubject } from '../../libs/protocol/subjects.ts';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import { closePool, hive, openPool, swarm, task } from './pool-harness.ts';
import { opening, setUp, tokenOf, working } from './session-harness.ts';

/** What an agent is told on its session of its own standing, and what strangers can do to it. */

beforeAll(openPool);
afterAll(closePool);

test('an agent that hears of doubts about it is told what it still has; one that is replaced is told so', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { session, id } = await working(code, open, false); // silent from the start
  const isEmpty = () => session.received.at(-1)?.inventory?.attempts.length === 0;
  await until(isEmpty);
  expect((await task(id)).attempts[0]).toMatchObject({ outcome: 'OUTCOME_LOST' });
  open().send(opening({ swarm: code.name, name: 'py' }));
  expect(await session.end()).toMatchObject({ code: 'ABORTED', reason: 'DISPLACED' });
});

test('what strangers send over the bus neither changes what an agent does nor ends it', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const opened = opening({ swarm: code.name, name: 'py', slots: 2 });
  const { instance = '' } = opened.open.agent ?? {};
  const session = open().send(opened).beats();
  const given = () => session.received.flatMap(({ assignments }) => assignments);
  const { id } = await code.submitTask({ type: 'lint', payload: 'good' });
  const [real] = await until(() => (given().length > 0 ? given() : undefined));
  const subject = assignmentSubject('main', code.name, 'py', instance);
  const forge = (change: object) =>
    hive.nc.request(subject, JSON.stringify({ ...real, ...change }), { timeout: 20_000 });

  const before = given().length;
  await forge({ spec: { ...real?.spec, payload: 'evil' } });
  await until(() => given().length > before);
  const attempt = { task: id, attempt: 1, instance };
  session.call(1, { confirmAssignment: { ...attempt, logKey: '' } });
  expect((await session.answer(1)).confirmAssignment).toMatchObject({ cancel: false });
  await forge({ cancel: true });
  await forge({ task: 'never-was', attempt: 7 });
  await forge({ attempt: 2 });
  const sent = session.received.length;
  const inventory = await until(() => session.received.slice(sent).find((message) => message.inventory)?.inventory);
  expect(inventory.attempts).toEqual([{ task: id, attempt: 1, cancel: false }]);
  expect(
    given().every(({ task: named, spec: what, cancel }) => named === id && what?.payload === 'good' && !cancel),
  ).toBe(true);
});

test('an agent that is taken out of service is told until when, and when it is back', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { session } = await working(code, open);
  const drain = () => session.received.findLast(({ inventory }) => inventory)?.inventory?.drain;
  await code.hive.pool.drainAgent({ swarm: code.name, name: 'py', graceMs: 60_000, reason: 'upgrade' });
  expect(await until(drain)).toMatchObject({ reason: 'upgrade', done: false });
  await code.hive.pool.resumeAgent({ swarm: code.name, name: 'py' });
  await until(() => drain() === undefined);
});

test("nobody listens in another agent's place", async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { id, session, opened } = await working(code, open);
  const other = await swarm(closing);
  const theirs = await tokenOf({ kind: 'swarm', swarm: other.name });
  const sibling = await tokenOf({ kind: 'agent', swarm: code.name, name: 'sibling' });
  for (const token of [theirs, sibling]) {
    const stranger = open(token).send({ ...opened, heartbeat: { busy: 0, progress: [] } });
    expect(await stranger.end()).toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(stranger.received).toEqual([]);
  }
  await code.hive.pool.cancelTask({ id });
  await until(() => session.received.flatMap(({ assignments }) => assignments).some(({ cancel }) => cancel));
});

test("an agent that shall move to another swarm is told, and is that swarm's by its next session", async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const other = await swarm(closing);
  const opened = opening({ swarm: code.name, name: 'py' });
  const session = open().send(opened).beats();
  await until(() => session.received.some(({ inventory }) => inventory));
  const request = { swarm: code.name, name: 'py', to: other.name };
  await other.hive.pool.migrateAgent(request);
  await code.hive.pool.migrateAgent(request);
  const move = await until(() => session.received.findLast(({ inventory }) => inventory?.move)?.inventory?.move);
  expect(move).toMatchObject({ swarm: other.name, name: 'py' });
  const theirs = await tokenOf({ kind: 'agent', swarm: other.name, name: 'py' });
  const { instance = '' } = opened.open.agent ?? {};
  const there = opening({ swarm: other.name, name: 'py', migration: move.migration, instance });
  const next = open(theirs).send(there).beats();
  const first = await until(() => next.received.find((message) => message.opened) ?? next.ended);
  expect(first).toMatchObject({ opened: { agent: {} } });
  expect('opened' in first && first.opened?.agent).toMatchObject({ swarm: other.name, name: 'py' });
  await session[Symbol.asyncDispose]();
  expect(await open().send(opened).end()).toMatchObject({ reason: 'MIGRATED' });
});
