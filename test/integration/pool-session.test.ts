import { createHash } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import type { TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { closePool, hive, inState, openPool, servePool, swarm, task } from './pool-harness.ts';
import { opening, RawSession, serveSessions, setUp, submission, WISH, working } from './session-harness.ts';

/** An agent that has only the contracts: what it is given on its stream, asks for and says there. */

beforeAll(openPool);
afterAll(closePool);

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

// The last one: the first replica, which leads until now, does not come back.
