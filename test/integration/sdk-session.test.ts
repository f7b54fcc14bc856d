import { afterAll, beforeAll, expect, test } from 'vitest';
import { systemClock } from '../../libs/kernel/clock.ts';
import { newKeyPair, tokenSource } from '../../libs/protocol/token.ts';
import type { GrpcServer } from '../../libs/rpc/grpc-server.ts';
import { openPoolSession } from '../../libs/sdk/pool-session.ts';
import type { PoolSessionOptions } from '../../libs/sdk/pool-session-options.ts';
import { Closing } from '../../libs/service/closing.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import { closePool, hive, openPool, servePool, swarm } from './pool-harness.ts';
import { serveSessions, tokenOf } from './session-harness.ts';

/** The SDK's session: calls of one tick in one message, over as many streams as it takes. */

beforeAll(openPool);
afterAll(closePool);

async function setUp(closing: Closing) {
  const code = await swarm(closing);
  const service = await servePool(closing);
  const token = await tokenOf({ kind: 'swarm', swarm: code.name });
  const servers = [await serveSessions(closing, service), await serveSessions(closing, service)] as const;
  const open = (at: readonly GrpcServer[], change: Partial<PoolSessionOptions> = {}) =>
    closing.use(openPoolSession({ addresses: at.map(({ address }) => address), token, ...change }));
  const spec = {
    swarm: code.name,
    type: 'lint',
    capabilities: [],
    script: '',
    timeoutMs: 0,
    maxAttempts: 0,
    priority: 0,
  };
  const submission = { spec: { ...spec, labels: {}, title: '' } };
  const total = async () => (await hive.pool.listTasks({ swarm: code.name, pageSize: 1 })).total;
  return { code, servers, open, submission, total };
}

test('many more calls than the window are all answered, refusals by themselves', async () => {
  await using closing = new Closing();
  const { servers, open, submission, total } = await setUp(closing);
  const session = open(servers, { window: 16 });
  const submitted = Array.from({ length: 500 }, () => session.call('submitTask', submission));
  const wrong = refused(session.call('releaseLease', { lease: 'No' }));
  const ids = (await Promise.all(submitted)).map(({ id }) => id);
  expect(new Set(ids).size).toBe(500);
  expect(await wrong).toMatchObject({ code: 'INVALID_ARGUMENT', violations: [{ field: 'lease', value: '"No"' }] });
  await until(async () => (await total()) === 500);
});

test('when its server stops in the midst, nothing is lost and nothing is done twice', async () => {
  await using closing = new Closing();
  const { servers, open, submission, total } = await setUp(closing);
  const breaks: string[] = [];
  const session = open(servers, { onBreak: ({ code }) => breaks.push(code) });
  await session.call('submitTask', submission);
  const before = Array.from({ length: 200 }, () => session.call('submitTask', submission));
  const stopping = servers[0].stop();
  const after = Array.from({ length: 200 }, () => session.call('submitTask', submission));
  const answers = await Promise.all([...before, ...after]);
  await stopping;
  expect(answers.every(({ created }) => created)).toBe(true);
  expect(breaks.every((code) => code === 'UNAVAILABLE')).toBe(true);
  expect(breaks.length).toBeGreaterThan(0);
  await until(async () => (await total()) === 401);
  await session.close();
  expect(await refused(session.call('submitTask', submission))).toMatchObject({ code: 'FAILED_PRECONDITION' });
});

test('what would only come again ends it for good, and every call hears of it', async () => {
  await using closing = new Closing();
  const { servers, open, submission } = await setUp(closing);
  const key = newKeyPair();
  const forged = tokenSource(key, { kind: 'swarm', swarm: submission.spec.swarm }, 'main', systemClock.now);
  const session = open(servers, { token: forged });
  const calls = [session.call('submitTask', submission), session.call('submitTask', submission)];
  const errors = await Promise.all(calls.map(refused));
  expect(errors.map(({ code }) => code)).toEqual(['PERMISSION_DENIED', 'PERMISSION_DENIED']);
  expect(await refused(session.call('submitTask', submission))).toMatchObject({ code: 'PERMISSION_DENIED' });
  const nobody = open(servers, { token: () => '' });
  expect(await refused(nobody.call('submitTask', submission))).toMatchObject({ code: 'UNAUTHENTICATED' });
  const broken = () => {
    throw new Error('no key');
  };
  const without = open(servers, { token: broken });
  expect((await refused(without.call('submitTask', submission))).message).toContain('no key');
});

test('a call that cannot be sent is refused alone, whatever is wrong with it', async () => {
  await using closing = new Closing();
  const { servers, open, submission, total } = await setUp(closing);
  const session = open(servers);
  const good = Array.from({ length: 60 }, () => session.call('submitTask', submission));
  const { spec } = submission;
  const circle: Record<string, unknown> = {};
  circle.of = circle;
  const bad = [
    session.call('submitTask', { spec: { ...spec, priority: 'high' as never } }),
    session.call('submitTask', { spec: { ...spec, payload: circle } }),
    session.call('submitTask', { spec: { ...spec, payload: { n: 1n } } }),
    session.call('submitTask', undefined as never),
    session.call('bogus' as 'submitTask', {}),
    session.call('submitTask', { spec: { ...spec, payload: 'x'.repeat(5 << 20) } }),
  ];
  const errors = await Promise.all(bad.map(refused));
  expect(errors.map(({ code }) => code)).toEqual([...Array(5).fill('INVALID_ARGUMENT'), 'RESOURCE_EXHAUSTED']);
  expect(errors[0]?.violations).toMatchObject([{ field: 'submitTask.spec.priority', value: '"high"' }]);
  const also = session.call('submitTask', submission);
  expect((await Promise.all([...good, also])).every(({ created }) => created)).toBe(true);
  await until(async () => (await total()) === 61);
});

test('calls that are too large together go in several messages', async () => {
  await using closing = new Closing();
  const { servers, open, submission, total } = await setUp(closing);
  const session = open(servers);
  const payload = 'x'.repeat(100_000);
  const calls = Array.from({ length: 64 }, () => session.call('submitTask', { spec: { ...submission.spec, payload } }));
  expect((await Promise.all(calls)).every(({ created }) => created)).toBe(true);
  await until(async () => (await total()) === 64);
});

test('options that cannot be are refused when it is opened', () => {
  const opened = (change: object) => () => openPoolSession({ addresses: ['127.0.0.1:1'], token: () => '', ...change });
  for (const openingMs of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
    expect(opened({ openingMs })).toThrow(`openingMs: ${openingMs} must be a number of milliseconds, 1 to`);
  }
  for (const window of [0, 513, 1.5, Number.NaN]) expect(opened({ window })).toThrow('window');
  for (const address of ['http://127.0.0.1:1', 'foo bar', '127.0.0.1', '127.0.0.1:99999', '']) {
    expect(opened({ addresses: ['127.0.0.1:1', address] })).toThrow('addresses[1]');
  }
  expect(opened({ addresses: [] })).toThrow('addresses');
});

test('who waits for nobody may give up, and who waits for nothing is let go', async () => {
  const ending = new AbortController();
  const options = { addresses: ['127.0.0.1:1'], token: () => '' };
  const session = openPoolSession({ ...options, signal: ending.signal });
  const call = refused(session.call('getTask', { id: 't-1' }));
  ending.abort();
  expect(await call).toMatchObject({ code: 'CANCELLED' });
  await session.close();
  await openPoolSession(options).close();
  const told = openPoolSession({
    ...options,
    onBreak: () => {
      throw new Error('enough');
    },
  });
  expect((await refused(told.call('getTask', { id: 't-1' }))).message).toContain('enough');
});
