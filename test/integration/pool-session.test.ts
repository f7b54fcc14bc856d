import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { assignmentSubject } from '../../libs/protocol/subjects.ts';
import type { Swarm } from '../../libs/sdk/swarm.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import type { TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { closePool, firstReplica, hive, inState, openPool, servePool, swarm, task } from './pool-harness.ts';
import { opening, RawSession, serveSessions, submission, tokenOf, WISH } from './session-harness.ts';

/** An agent that has only the contracts: one stream, whichever replica it is on. */

beforeAll(openPool);
afterAll(closePool);

async function setUp(closing: Closing) {
  const code = await swarm(closing);
  const server = await serveSessions(closing, await servePool(closing));
  const agentToken = await tokenOf({ kind: 'agent', swarm: code.name, name: 'py' });
  const open = (token = agentToken) => closing.use(new RawSession(server.address, token));
  return { code, server, open, token: await tokenOf({ kind: 'swarm', swarm: code.name }) };
}

test('an agent registers, is given a task, confirms, logs and reports it', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const opened = opening({ swarm: code.name, name: 'py' });
  const { instance = '' } = opened.open.agent ?? {};
  const session = open().send(opened).beats();
  const first = await until(() => session.received.find((message) => message.opened));
  expect(first.opened).toMatchObject({
    agent: { swarm: code.name, name: 'py', instance },
    heartbeatMs: 250,
    window: 64,
  });
  await until(() => session.received.some(({ inventory }) => inventory?.attempts.length === 0));
  const { id } = await code.submitTask({ type: 'lint', payload: { file: 'a.ts' } });
  const given = await until(() => session.received.flatMap(({ assignments }) => assignments)[0]);
  expect(given).toMatchObject({ task: id, attempt: 1, instance, cancel: false, spec: { payload: { file: 'a.ts' } } });
  const attempt = { task: id, attempt: 1, instance };
  session.call(1, { confirmAssignment: { ...attempt, logKey: '' } });
  expect(await session.answer(1)).toMatchObject({ confirmAssignment: { cancel: false } });
  const line = { task: id, attempt: 1, stream: 'LOG_STREAM_STDOUT' as const, text: 'working', number: 1 };
  const report = { ...attempt, outcome: 'OUTCOME_SUCCEEDED' as const, result: { ok: true }, reason: '' };
  session.send({
    lines: [line],
    heartbeat: { busy: 1, progress: [] },
    calls: [{ number: '2', traceparent: '', reportTask: report }],
  });
  expect(await session.answer(2)).toMatchObject({ reportTask: { state: 'TASK_STATE_SUCCEEDED' } });
  expect((await task(id)).result).toEqual({ ok: true });
  const texts: string[] = [];
  for await (const { lines } of hive.pool.readTaskLog({ id, follow: true }))
    texts.push(...lines.map(({ text }) => text));
  expect(texts).toEqual(['working']);
  session.call(3, { deregisterAgent: { swarm: code.name, name: 'py', instance } });
  expect(await session.answer(3)).toMatchObject({ deregisterAgent: {} });
  expect(await session.close().end()).toBe(null);
  await inState(id, 'SUCCEEDED');
});

test('each call is answered by itself; a repeat elsewhere gets the first answer', async () => {
  await using closing = new Closing();
  const { code, open, token } = await setUp(closing);
  const lender = await swarm(closing);
  const handler: TaskHandler = async () => ({});
  for (const name of ['a', 'b', 'c']) closing.use(await lender.createAgent({ name, type: 'test', handler }));
  const opened = opening();
  const wish = { ...WISH, swarm: code.name, type: 'test', lender: lender.name };
  const calls = [
    { requestAgent: wish },
    { requestAgent: { ...wish, type: 'No' } },
    { submitTask: submission({ swarm: code.name, type: 'later' }) },
    { requestAgent: { ...wish, type: 'nobody' } },
    { releaseLease: { lease: 'lease-none' } },
  ];
  const first = open(token)
    .send(opened)
    .call(1, ...calls);
  expect((await first.answer(1)).requestAgent?.lease).toMatchObject({ borrower: code.name, lender: lender.name });
  expect((await first.answer(2)).refusal).toMatchObject({ code: 'INVALID_ARGUMENT', faults: [{ field: 'type' }] });
  const { submitTask } = await first.answer(3);
  expect(submitTask).toMatchObject({ created: true, state: 'TASK_STATE_QUEUED' });
  expect((await first.answer(4)).refusal).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'NO_AGENT_FREE' });
  expect((await first.answer(5)).refusal).toMatchObject({ code: 'NOT_FOUND' });
  // Another replica is asked the same, as after a break.
  const other = await serveSessions(closing, await servePool(closing));
  const again = closing
    .use(new RawSession(other.address, token))
    .send(opened)
    .call(1, ...calls);
  for (const number of [1, 3, 4]) {
    const { requestAgent, ...rest } = await again.answer(number);
    const before = await first.answer(number);
    expect(requestAgent?.lease?.id).toBe(before.requestAgent?.lease?.id);
    expect(rest.submitTask).toEqual(before.submitTask);
    expect(rest.refusal?.code).toBe(before.refusal?.code);
  }
  const leases = await hive.pool.listLeases({ swarm: code.name });
  expect(leases.leases.filter(({ state }) => state === 'LEASE_STATE_ACTIVE')).toHaveLength(1);
  expect((await hive.pool.listTasks({ swarm: code.name })).total).toBe(1);
  again.call(6, { requestAgent: wish });
  expect((await again.answer(6)).requestAgent?.lease?.id).not.toBe((await first.answer(1)).requestAgent?.lease?.id);
  expect(await again.close().end()).toBe(null);
});

test('more calls than the window are refused, and those within it go on', async () => {
  await using closing = new Closing();
  const { code, open, token } = await setUp(closing);
  const lender = await swarm(closing);
  const waiting = { requestAgent: { ...WISH, swarm: code.name, type: 'rare', waitMs: 60_000 } };
  const session = open(token).send(opening(undefined, 2)).call(1, waiting, waiting, waiting);
  expect((await session.answer(3)).refusal).toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'WINDOW_EXCEEDED' });
  const requests = await until(async () => {
    const { requests: all } = await hive.pool.listAgentRequests({ swarm: code.name });
    return all.length === 2 ? all : undefined;
  });
  await code.hive.pool.withdrawAgentRequest({ id: requests[0]?.id ?? '' });
  closing.use(await lender.createAgent({ name: 'a', type: 'rare', handler: async () => ({}) }));
  const outcomes = [await session.answer(1), await session.answer(2)];
  expect(outcomes.map(({ refusal }) => refusal?.reason ?? 'granted').sort()).toEqual(['REQUEST_WITHDRAWN', 'granted']);
});

test('a running task is cancelled by a notice on the stream', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { session, id, attempt } = await working(code, open);
  await code.hive.pool.cancelTask({ id });
  await until(() => session.received.flatMap(({ assignments }) => assignments).some(({ cancel }) => cancel));
  session.call(2, { reportTask: { ...attempt, outcome: 'OUTCOME_CANCELLED', reason: 'told to', result: undefined } });
  expect((await session.answer(2)).reportTask).toMatchObject({ state: 'TASK_STATE_CANCELLED' });
});

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

/** An agent by a session that has confirmed a task and works on it. */
async function working(code: Swarm, open: () => RawSession, beats = true, spec: Partial<TaskSpec> = {}) {
  const opened = opening({ swarm: code.name, name: 'py' });
  const session = open().send(opened);
  if (beats) session.beats();
  const { id } = await code.submitTask({ type: 'lint', ...spec });
  await until(() => session.received.some(({ assignments }) => assignments.length > 0));
  const attempt = { task: id, attempt: 1, instance: opened.open.agent?.instance ?? '' };
  session.call(1, { confirmAssignment: { ...attempt, logKey: '' } });
  await session.answer(1);
  return { session, id, attempt, opened };
}

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
  const forge = (change: object) => hive.nc.request(subject, JSON.stringify({ ...real, ...change }), { timeout: 5000 });

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

test('an agent stores checkpoints by its session, and the next attempt has the last one', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { session, id, attempt } = await working(code, open, true, { continuity: { resume: true, claim: false } });
  session.call(2, { saveCheckpoint: { ...attempt, data: { done: 1 } } }, { saveCheckpoint: { ...attempt, data: 2 } });
  expect((await session.answer(2)).saveCheckpoint).toMatchObject({ number: 1 });
  expect((await session.answer(3)).saveCheckpoint).toMatchObject({ number: 2 });
  session.call(
    4,
    { saveCheckpoint: { ...attempt, attempt: 9, data: 3 } },
    { getCheckpoint: { task: id, minRevision: '0' } },
  );
  expect((await session.answer(4)).refusal).toMatchObject({ code: 'ABORTED' });
  const got = await session.answer(5);
  expect(got.getCheckpoint?.checkpoint).toMatchObject({ number: 2, attempt: 1, data: 2 });
});

test('an attempt leaves files, has its work done by a group, and reads how a task ended', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { session, id, attempt } = await working(code, open);
  const content = Buffer.from('all is well');
  const part = { ...attempt, name: 'report.txt', part: 0, data: content.toString('base64') };
  const digest = `sha256:${createHash('sha256').update(content).digest('base64url')}`;
  const artefact = { name: 'report.txt', mediaType: 'text/plain', bytes: content.length, digest, parts: 1, attempt: 0 };
  session.call(2, { putArtefactPart: part });
  expect((await session.answer(2)).putArtefactPart).toBeDefined();
  session.call(3, { addArtefact: { ...attempt, artefact } });
  expect((await session.answer(3)).addArtefact).toBeDefined();
  const read: string[] = [];
  for await (const each of hive.pool.readArtefact({ task: id, name: 'report.txt' })) read.push(each.data);
  expect(Buffer.from(read.join(''), 'base64').toString()).toBe('all is well');

  const plain = { script: '', timeoutMs: 0, maxAttempts: 0, priority: 0, labels: {}, title: '', capabilities: [] };
  const spec: TaskSpec = { ...plain, swarm: code.name, type: 'other', payload: 1 };
  const group = { swarm: code.name, title: '', strategy: 'GROUP_STRATEGY_PARALLEL', maxConcurrency: 0 } as const;
  const submitGroup = {
    ...{ id: '', idempotent: false, dryRun: false, tasks: [{ name: 'one', spec }] },
    spec: { ...group, onFailure: 'FAILURE_POLICY_UNSPECIFIED' as const, phases: [] },
  };
  session.call(4, { submitGroup });
  const submitted = (await session.answer(4)).submitGroup;
  expect(submitted).toMatchObject({ created: true, group: { state: 'GROUP_STATE_RUNNING' } });
  const [member = ''] = submitted?.tasks ?? [];
  session.call(
    5,
    { getTask: { id: member, minRevision: '0', linearizable: false } },
    { getGroup: { id: submitted?.group?.id ?? '', minRevision: '0', linearizable: false } },
  );
  expect((await session.answer(5)).getTask?.task).toMatchObject({ id: member, spec: { payload: 1 } });
  expect((await session.answer(6)).getGroup?.group?.counts?.total).toBe(1);
  session.call(7, { cancelMigration: { id: 'migration-none', reason: '' } });
  expect((await session.answer(7)).refusal).toMatchObject({ code: 'NOT_FOUND' });
});

test('an agent says how far it is, in each heartbeat; at whichever replica, who looks is told', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  const { session, id } = await working(code, open);
  const progress = [{ task: id, attempt: 1, percent: 40, text: 'counting', at: undefined }];
  const beats = closing.use({ [Symbol.dispose]: () => clearInterval(beating) });
  const beating = setInterval(() => session.send({ heartbeat: { busy: 1, progress } }), 100);
  const seen = await until(async () => (await task(id)).progress);
  expect(seen).toMatchObject({ task: id, attempt: 1, percent: 40, text: 'counting', at: expect.any(String) });
  const { tasks } = await hive.pool.listTasks({ swarm: code.name });
  expect(tasks.find((each) => each.id === id)?.progress?.percent).toBe(40);
  beats[Symbol.dispose]();
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

// The last one: the first replica, which leads until now, does not come back.
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
