import { afterAll, beforeAll, expect, test } from 'vitest';
import type { GrpcServer } from '../../libs/rpc/grpc-server.ts';
import { openPoolSession, type PoolSessionOptions } from '../../libs/sdk/pool-session.ts';
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
  const session = open(servers, { window: 600 });
  const calls = [session.call('submitTask', submission), session.call('submitTask', submission)];
  const errors = await Promise.all(calls.map(refused));
  expect(errors.map(({ code }) => code)).toEqual(['INVALID_ARGUMENT', 'INVALID_ARGUMENT']);
  expect(errors[0]?.message).toContain('open.window: 600 must be 0 to 512');
  expect(await refused(session.call('submitTask', submission))).toMatchObject({ code: 'INVALID_ARGUMENT' });
});
