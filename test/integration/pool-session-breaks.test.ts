import { afterAll, beforeAll, expect, test } from 'vitest';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import { closePool, firstReplica, inState, openPool, servePool, task } from './pool-harness.ts';
import { RawSession, serveSessions, setUp, tokenOf, working } from './session-harness.ts';

/** Sessions that break, at the agent or at the pool, and come back or not, whichever replica they are on. */

beforeAll(openPool);
afterAll(closePool);

test('a session that breaks and comes back at once keeps its task, at whichever replica', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { session, id, attempt, opened } = await working(code, open);
  const other = await serveSessions(closing, await servePool(closing));
  const token = await tokenOf({ kind: 'agent', swarm: code.name, name: 'py' });
  const second = closing.use(new RawSession(other.address, token)).send(opened).beats();
  await until(() => second.received.some(({ inventory }) => inventory?.attempts.some(({ task: has }) => has === id)));
  await session[Symbol.asyncDispose]();
  second.call(2, { reportTask: { ...attempt, outcome: 'OUTCOME_SUCCEEDED', reason: '', result: 'done' } });
  expect((await second.answer(2)).reportTask).toMatchObject({ state: 'TASK_STATE_SUCCEEDED' });
  expect((await task(id)).attempts).toHaveLength(1);
});

test('a session that breaks and does not come back loses its task to another; its late report is refused', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { session, id, attempt, opened } = await working(code, open);
  await session[Symbol.asyncDispose]();
  closing.use(await code.createAgent({ name: 'other', type: 'lint', handler: async () => 'by the other' }));
  const ended = await inState(id, 'SUCCEEDED');
  expect(ended.result).toBe('by the other');
  expect(ended.attempts.map(({ outcome }) => outcome)).toEqual(['OUTCOME_LOST', 'OUTCOME_SUCCEEDED']);
  const late = open().send(opened);
  late.call(2, { reportTask: { ...attempt, outcome: 'OUTCOME_SUCCEEDED', reason: '', result: 'late' } });
  expect((await late.answer(2)).refusal).toMatchObject({ code: 'ABORTED', reason: 'STALE_ATTEMPT' });
  expect((await task(id)).result).toBe('by the other');
});

test('a server that stops says so, and the work goes on at another', async () => {
  await using closing = new Closing();
  const { code } = await setUp(closing);
  const service = await servePool(closing);
  const [first, second] = [await serveSessions(closing, service), await serveSessions(closing, service)];
  const token = await tokenOf({ kind: 'agent', swarm: code.name, name: 'py' });
  const at = (address: string) => closing.use(new RawSession(address, token));
  const { session, attempt, opened } = await working(code, () => at(first.address));
  // It is there already when the first one goes, so that it is not a matter of time whether the task is still its own.
  const next = at(second.address).send(opened).beats();
  await until(() => next.received.length > 0);
  await first.stop();
  expect(await session.end()).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
  next.call(2, { reportTask: { ...attempt, outcome: 'OUTCOME_SUCCEEDED', reason: '', result: 1 } });
  expect((await next.answer(2)).reportTask).toMatchObject({ state: 'TASK_STATE_SUCCEEDED' });
});

test("when the pool's leader goes, a session at another replica stays", async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { session, attempt } = await working(code, open);
  await firstReplica[Symbol.asyncDispose]();
  let number = 1;
  /** What may pass is asked again, as clients do. */
  const asked = (call: Parameters<RawSession['call']>[1]) =>
    until(async () => {
      session.call(++number, call);
      const answer = await session.answer(number);
      return answer.refusal?.retryable ? undefined : answer;
    });
  const report = { ...attempt, outcome: 'OUTCOME_SUCCEEDED' as const, reason: '', result: 1 };
  expect((await asked({ reportTask: report })).reportTask).toMatchObject({ state: 'TASK_STATE_SUCCEEDED' });
  const { id } = await code.submitTask({ type: 'lint' });
  await until(() => session.received.flatMap(({ assignments }) => assignments).some(({ task: given }) => given === id));
  const { confirmAssignment } = await asked({ confirmAssignment: { ...attempt, task: id, logKey: '' } });
  expect(confirmAssignment).toMatchObject({ cancel: false });
  expect(session.ended).toBeUndefined();
});
