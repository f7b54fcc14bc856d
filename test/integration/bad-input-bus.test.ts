import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect as connectTcp } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInbox, type Msg, type NatsConnection } from '@nats-io/nats-core';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AllInOne, createAllInOne } from '../../cli/all-in-one.ts';
import { connectBus } from '../../libs/bus/connect.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { encodeHeaders } from '../../libs/protocol/envelope.ts';
import { newKeyPair, signToken } from '../../libs/protocol/token.ts';
import { connect } from '../../libs/sdk/connect.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { Closing } from '../../libs/service/closing.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';

/** Strangers on the bus, which carries more than ours would send: each gets a clear error, nothing is done or lost. */

const MIB = 1 << 20;
const all = new Closing();
const refusals: string[] = [];
let server: NatsServer;
let services: AllInOne;
let hive: Hive;
let stranger: NatsConnection;

beforeAll(async () => {
  server = all.use(await startNatsServer({ config: `max_payload: ${8 * MIB}` }));
  const home = await mkdtemp(join(tmpdir(), 'hivebus-bad-'));
  all.use({ [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }) });
  services = all.use(
    await createAllInOne({
      ...{ nats: [server.url], host: '127.0.0.1', grpcPort: 0, operatorKeys: join(home, 'operators') },
      onRefused: () => {},
      observe: ({ method }, run) => {
        const ran = run();
        ran.catch((error: unknown) => refusals.push(`${method} ${HiveError.from(error).code}`));
        return ran;
      },
    }),
  );
  const identity = { kind: 'swarm', swarm: 'code' } as const;
  hive = all.use(await connect({ servers: server.url, home, identity, env: {} }));
  await hive.registry.registerSwarm({ name: 'code', project: 'before' });
  stranger = await connectBus({ servers: server.url, name: 'stranger', jetStream: false });
  all.use({ [Symbol.asyncDispose]: () => stranger.close() });
});
afterAll(() => all[Symbol.asyncDispose]());

/** The state is what it was, and commands are still done. */
async function goesOn(): Promise<void> {
  const { swarms } = await hive.registry.listSwarms({});
  expect(swarms.map(({ name, project }) => [name, project])).toEqual([['code', 'before']]);
  expect((await hive.pool.listTasks({})).total).toBe(0);
  await hive.registry.registerSwarm({ name: 'code', project: 'after' });
  await hive.registry.registerSwarm({ name: 'code', project: 'before' });
  expect(Object.values(services.checks).map((check) => check())).toEqual([undefined, undefined]);
}

const tokenOf = (swarm: string): string => {
  const subject = { kind: 'swarm', swarm } as const;
  return `Bearer ${signToken(newKeyPair(), { subject, federation: 'main', nowMs: Date.now() })}`;
};

async function ask(method: string, body: string, headers: Record<string, string> = {}) {
  const options = { headers: rawHeaders(encodeHeaders(headers)), timeout: 20_000 };
  const answer = await stranger.request(`hive.main.rpc.${method}`, body, options);
  return answer.json<{ code?: string; message?: string }>();
}

test('what is far too large for its field names the field; what is too large for a request says the limit', async () => {
  const payload = JSON.stringify({ spec: { swarm: 'code', type: 'a', payload: 'x'.repeat(2 * MIB) } });
  const refused = await ask('pool.SubmitTask', payload, { authorization: tokenOf('code') });
  expect(refused).toMatchObject({ code: expect.stringMatching(/UNAUTHENTICATED|PERMISSION_DENIED|INVALID_ARGUMENT/) });
  const own = hive.pool.submitTask({ spec: { ...SPEC, payload: 'x'.repeat(2 * MIB) } });
  await expect(own).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('spec.payload'),
  });
  const project = hive.registry.registerSwarm({ name: 'code', project: 'x'.repeat(2 * MIB) });
  await expect(project).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringContaining('project'),
  });
  const tooLarge = await ask('registry.ListSwarms', ' '.repeat(5 * MIB));
  expect(tooLarge).toMatchObject({ code: 'RESOURCE_EXHAUSTED', message: expect.stringContaining('at most 4194304') });
  await goesOn();
});

const SPEC = {
  ...{ swarm: 'code', type: 'nobody', capabilities: [], script: '', timeoutMs: 0, maxAttempts: 0, priority: 0 },
  ...{ labels: {}, title: '' },
};

test.each([
  ['malformed JSON', '{"name": "n', {}, 'INVALID_ARGUMENT', 'must be the JSON of a hivebus.registry'],
  ['not UTF-8', Buffer.from([0x22, 0xff, 0x22]).toString('latin1'), {}, 'INVALID_ARGUMENT', 'RegisterSwarmRequest'],
  ['an array', '[]', {}, 'INVALID_ARGUMENT', 'RegisterSwarmRequest'],
  ['depth', '['.repeat(200_000), {}, 'INVALID_ARGUMENT', 'RegisterSwarmRequest'],
  ['an unknown field', '{"name": "n", "nome": 1}', {}, 'INVALID_ARGUMENT', 'did you mean name?'],
  ['protobuf', '{"name": "n"}', { 'content-type': 'application/protobuf' }, 'INVALID_ARGUMENT', 'application/json'],
  [
    'a structured CloudEvent',
    '{"name": "n"}',
    { 'content-type': 'application/cloudevents+json' },
    'INVALID_ARGUMENT',
    'header content-type: "application/cloudevents+json" must be application/json',
  ],
  ['a deadline that is over', '{"name": "n"}', { 'hive-timeout-ms': '0' }, 'DEADLINE_EXCEEDED', 'nothing was done'],
  ['a deadline that is none', '{"name": "n"}', { 'hive-timeout-ms': 'soon' }, 'INVALID_ARGUMENT', 'hive-timeout-ms'],
])('a request with %s is refused', async (_, body, headers, code, text) => {
  const answer = await ask('registry.RegisterSwarm', body, { authorization: tokenOf('n'), ...headers });
  expect(answer).toMatchObject({ code, message: expect.stringContaining(text) });
  await goesOn();
});

test('JSON by any of its names is taken', async () => {
  for (const type of ['application/json', 'application/json; charset=utf-8', 'Application/JSON;charset="UTF-8"', '']) {
    expect(await ask('registry.ListSwarms', '{}', { 'content-type': type })).toMatchObject({ total: 1 });
  }
});

test.each([
  ['no lines', Buffer.from('NATS/1.0\r\n\xff\xfe\x00 no colon', 'latin1')],
  ['empty names', Buffer.from('NATS/1.0\r\n: x\r\n:\r\n\r\nhive-hops: many\r\n\r\n')],
  ['too much', Buffer.from(`NATS/1.0\r\nx: ${'y'.repeat(2 * MIB)}\r\n${'z: 1\r\n'.repeat(50_000)}\r\n`)],
  ['random bytes', randomBytes(1000)],
])('headers that are none, %s, get an answer of one kind or the other', async (_, bytes) => {
  const inbox = createInbox();
  const answered = new Promise<Msg>((resolve) => {
    stranger.subscribe(inbox, { max: 1, callback: (_error, message) => resolve(message) });
  });
  stranger.publish('hive.main.rpc.registry.ListSwarms', '{}', { headers: rawHeaders(bytes), reply: inbox });
  expect((await answered).json()).toMatchObject({});
  await goesOn();
});

test('a command whose answer nobody could get is not done, and counted', async () => {
  const headers = rawHeaders(encodeHeaders({ authorization: tokenOf('unheard') }));
  refusals.length = 0;
  stranger.publish('hive.main.rpc.registry.RegisterSwarm', '{"name": "unheard"}', { headers });
  stranger.publish(
    'hive.main.rpc.registry',
    '{"calls": [{"method": "RegisterSwarm", "headers": {}, "request": {"name": "a"}}]}',
  );
  await until(() => refusals.length === 2);
  expect(refusals).toEqual(['RegisterSwarm INVALID_ARGUMENT', 'RegisterSwarm INVALID_ARGUMENT']);
  await goesOn();
});

test('2 MB of garbage, and worse, at every subject that anybody listens to', async () => {
  const bodies = [randomBytes(2 * MIB), Buffer.from('null'), Buffer.from('{"a":'), Buffer.alloc(0)];
  const subjects = [
    ...['rpc.registry.RegisterSwarm', 'rpc.pool.SubmitTask', 'rpc.pool.WatchTasks', 'rpc.registry', 'rpc.pool'],
    ...['journal.registry', 'journal.pool', 'discovery', 'heartbeat.code', 'heartbeat.code.a1', 'task.t1.log'],
  ].map((rest) => `hive.main.${rest}`);
  const inner = ['rpc.registry.RegisterSwarm', 'rpc.pool.ListTasks', 'registry.leader', 'pool.leader'];
  subjects.push(...inner.map((rest) => `_HIVE.main.${rest}`));
  for (const subject of subjects) {
    for (const body of bodies) {
      stranger.publish(subject, body, { reply: createInbox() });
      stranger.publish(subject, body);
    }
    await stranger.flush();
  }
  await goesOn();
});

test('a bus that does not carry it: our clients say so, and who sends it anyway is cut off', async () => {
  await using small = await startNatsServer();
  const nc = await connectBus({ servers: small.url, name: 'small' });
  const client = await connect({ servers: small.url, home: tmpdir(), env: {} });
  for (const bytes of [2 * MIB, MIB - 100]) {
    const call = client.registry.getSwarm({ name: 'x'.repeat(bytes) });
    await expect(call).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_LARGE', retryable: false });
    const stream = client.pool.readTaskLog({ id: 'x'.repeat(bytes) })[Symbol.asyncIterator]();
    await expect(stream.next()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', reason: 'TOO_LARGE' });
  }
  await client.close();
  const said = await new Promise<string>((resolve) => {
    const socket = connectTcp(small.port, '127.0.0.1');
    let text = '';
    socket.on('data', (chunk) => {
      text += chunk;
    });
    socket.on('error', () => {}); // told by `close`
    socket.on('close', () => resolve(text));
    socket.write(`CONNECT {"verbose":false}\r\nPUB hive.main.rpc.registry.ListSwarms ${2 * MIB}\r\n`);
  });
  expect(said).toContain('Maximum Payload Violation');
  await nc.flush();
  await nc.close();
});
