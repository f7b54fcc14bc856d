import { constants } from 'node:http2';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Closing } from '../../libs/service/closing.ts';
import { until } from '../../libs/testkit/until.ts';
import { SessionRequest } from '../../libs/wire/hivebus/pool/v1/session.ts';
import { closePool, openPool, servePool, swarm } from './pool-harness.ts';
import { connection, frame, outcome } from './raw-grpc.ts';
import { opening, RawSession, serveSessions, submission, tokenOf, WISH } from './session-harness.ts';

/** Sessions of strangers and of clients that are broken: each ends with a clear error, and the server goes on. */

beforeAll(openPool);
afterAll(closePool);

async function setUp(closing: Closing, options = {}) {
  const code = await swarm(closing);
  const server = await serveSessions(closing, await servePool(closing), options);
  const token = await tokenOf({ kind: 'swarm', swarm: code.name });
  return { code, server, token, open: (own = token) => closing.use(new RawSession(server.address, own)) };
}

const call = { number: '1', traceparent: '' };
const line = { task: 't', attempt: 1, stream: 'LOG_STREAM_STDOUT' as const, text: '', number: 1 };

test('a message that breaks the rules ends the session, with every fault', async () => {
  await using closing = new Closing();
  const { open } = await setUp(closing);
  const ends = async (...messages: Parameters<RawSession['send']>) =>
    (
      await open()
        .send(...messages)
        .end()
    )?.message;
  const { open: good } = opening();
  expect(await ends({})).toContain('open: undefined must be there in the first message');
  expect(await ends({ open: { ...good, client: 'No', window: 513, logSeed: 'short' } })).toMatch(
    /open\.client: "No" must match .*open\.window: 513 must be 0 to 512.*open\.logSeed: .* must be base64url of 32 bytes/,
  );
  expect(await ends({ open: { ...good, client: 'c'.repeat(41) } })).toContain('must have at most 40 characters');
  expect(await ends({ open: good }, { open: good })).toContain('must not be there again');
  expect(await ends({ open: good, heartbeat: { busy: 0, progress: [] } })).toContain(
    "must come in an agent's session only",
  );
  expect(await ends({ open: good, lines: [line] })).toContain("lines: 1 must come in an agent's session only");
  const odd = { ...call, requestAgent: WISH, submitTask: submission({ swarm: 's', type: 't' }) };
  const faults = await ends({ open: good, calls: [call, { ...odd, number: '0' }, { ...odd, traceparent: 'x' }] });
  expect(faults).toMatch(
    /calls\[0\]: \[\] must have exactly one of confirmAssignment, .*calls\[1\]\.number: "0" must be/,
  );
  expect(faults).toMatch(/calls\[2\]: \["submitTask","requestAgent"\] must .*calls\[2\]\.traceparent: "x" must be/);
  const many = Array.from({ length: 513 }, (_, i) => ({ ...call, number: String(i + 1), requestAgent: WISH }));
  expect(await ends({ open: good, calls: many })).toContain('calls: 513 must be at most 512');
});

test('who says not who he is, or may not be who he says, has no session', async () => {
  await using closing = new Closing();
  const { code, open } = await setUp(closing);
  expect(
    await open(() => '')
      .send(opening())
      .end(),
  ).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING' });
  const other = await swarm(closing);
  const foreign = open().send(opening({ swarm: other.name, name: 'x' }));
  expect(await foreign.end()).toMatchObject({ code: 'PERMISSION_DENIED' });
  const theirs = await tokenOf({ kind: 'swarm', swarm: other.name });
  const swapped = open().send(opening(), { token: theirs() });
  expect(await swapped.end()).toMatchObject({ code: 'PERMISSION_DENIED', reason: 'TOKEN_OF_ANOTHER' });
  const forged = open().send(opening(), { token: 'a.b.c' });
  expect(await forged.end()).toMatchObject({ code: 'UNAUTHENTICATED' });
  const own = open().send(opening(), { token: (await tokenOf({ kind: 'swarm', swarm: code.name }))() });
  own.call(1, { releaseLease: { lease: 'none' } });
  expect((await own.answer(1)).refusal?.code).toBe('NOT_FOUND');
});

/** A session on the wire; the test says what is sent and whether anything is read. */
function wire(session: Awaited<ReturnType<typeof connection>>, token: () => string) {
  const path = '/hivebus.pool.v1.PoolSessionService/Session';
  const headers = { 'content-type': 'application/grpc', te: 'trailers', authorization: `Bearer ${token()}` };
  return session.request({ ':method': 'POST', ':path': path, ...headers });
}

const encoded = (request: object) => frame(SessionRequest.encode(SessionRequest.fromJSON(request)).finish());

test('garbage, half a message and a reset end the session alone', async () => {
  await using closing = new Closing();
  const { server, token } = await setUp(closing);
  using session = await connection(server);
  const others = wire(session, token);
  const came = outcome(others);
  others.write(encoded(opening()));

  const garbage = wire(session, token);
  garbage.write(encoded(opening()));
  garbage.end(frame(Buffer.from('\xff\xfe garbage', 'latin1')));
  expect(await outcome(garbage)).toMatchObject({ status: 3, message: expect.stringContaining('cannot be read') });
  const half = wire(session, token);
  half.end(encoded(opening()).subarray(0, 9));
  expect(await outcome(half)).toMatchObject({ status: 3, message: expect.stringContaining('open: undefined must be') });
  const reset = wire(session, token);
  const wasReset = outcome(reset);
  reset.write(encoded(opening()));
  await until(() => server.load().streams === 2);
  reset.close(constants.NGHTTP2_CANCEL);
  await wasReset;

  await until(() => server.load().streams === 1);
  others.end(encoded({ calls: [{ ...call, releaseLease: { lease: 'none' } }] }));
  expect((await came).status).toBe(0);
  await until(() => server.load().streams === 0);
});

test('a client that asks and never reads is not listened to any more, and then ended', async () => {
  await using closing = new Closing();
  const { server, token } = await setUp(closing, { stallMs: 1000 });
  using session = await connection(server, { initialWindowSize: 1024 });
  const stream = wire(session, token);
  const came = outcome(stream);
  stream.pause();
  stream.write(encoded({ ...opening(undefined, 512) }));
  let number = 0;
  const ask = () => ({ number: String(++number), releaseLease: { lease: 'none' } });
  const batch = () => encoded({ calls: Array.from({ length: 256 }, ask) });
  const write = () => {
    while (!stream.closed && number < 1_000_000 && stream.write(batch()));
  };
  stream.on('drain', write);
  write();
  const { status, reset } = await came;
  expect([status, reset]).toEqual([undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM]);
  expect(number).toBeLessThan(100_000);
  await until(() => server.load().streams === 0);
});
