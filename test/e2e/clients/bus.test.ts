import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { type NatsConnection, headers as natsHeaders } from '@nats-io/nats-core';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../../libs/testkit/until.ts';
import { Playground } from '../hivebus.ts';
import { example, optional, run, tokenFor, withProgram } from './programs.ts';

/** Clients of the bus that we did not write: the NATS command line, what it says on the wire, and the CloudEvents SDK. */

const openssl = optional('openssl', 'install openssl');
const nats = optional('nats');
const pty = optional('script', 'install util-linux'); // gives a terminal, which `nats stream view` wants

let playground: Playground;
let url: string;
let nc: NatsConnection;

beforeAll(async () => {
  playground = new Playground();
  await playground.up();
  const runFile = readFileSync(join(playground.folder, '.hivebus', 'run.json'), 'utf8');
  url = (JSON.parse(runFile) as { nats: string }).nats;
  nc = await connect({ servers: url });
});
afterAll(async () => {
  await nc?.close();
  await playground[Symbol.asyncDispose]();
});

const natsCli = (...args: string[]) => run(nats ?? '', ['--server', url, ...args], { env: withProgram(nats ?? '') });

test.skipIf(!nats || !openssl || !pty)('the example of the NATS command line', async () => {
  const line = `'${example('nats.sh')}' ${url} '${join(playground.folder, 'nats.key')}'`;
  const env = { ...withProgram(nats ?? ''), TERM: 'dumb', COLUMNS: '200' };
  const { code, stdout } = await run(pty ?? '', ['-qec', line, '/dev/null'], { cwd: playground.folder, env });
  expect(code, stdout).toBe(0);
  expect(stdout).toMatch(/hivebus-registry[\s\S]*hivebus-pool|hivebus-pool[\s\S]*hivebus-registry/); // micro ls
  expect(stdout).toContain('hive.*.rpc.registry.ListSwarms'); // micro info
  expect(stdout).toContain('ce-type: hivebus.registry.v1.ListSwarmsResponse'); // req
  expect(stdout).toMatch(/\[#1\] Received on "hive\.main\.registry\.swarm\.\w+\.nats"/); // sub
  expect(stdout).toContain('hive-record: group'); // stream view
});

test.skipIf(!nats)('a fault is told to the NATS command line as a service error', async () => {
  const { stdout, stderr } = await natsCli('req', 'hive.main.rpc.registry.ListSwarms', '{"pageSise": 2}');
  expect(stdout + stderr).toMatch(/Nats-Service-Error-Code: 3/i);
  expect(stdout + stderr).toContain('did you mean pageSize?');
});

test('what the NATS command line does, on the wire: services, requests, events, the journal', async () => {
  const ping = (await nc.request('$SRV.PING.hivebus-registry')).json<{ type: string; id: string }>();
  expect(ping.type).toBe('io.nats.micro.v1.ping_response');
  const info = (await nc.request(`$SRV.INFO.hivebus-registry.${ping.id}`)).json<{ endpoints: object[] }>();
  expect(info).toMatchObject({ type: 'io.nats.micro.v1.info_response', version: expect.stringMatching(/^\d+\.\d+\./) });
  const subject = 'hive.*.rpc.registry.ListSwarms';
  expect(info.endpoints).toContainEqual(expect.objectContaining({ name: 'ListSwarms', subject }));

  const answer = await nc.request('hive.main.rpc.registry.ListSwarms', '{}');
  expect(answer.json()).toMatchObject({ swarms: expect.any(Array), revision: expect.any(String) });
  const stats = (await nc.request(`$SRV.STATS.hivebus-registry.${ping.id}`)).json<{ endpoints: object[] }>();
  const { num_requests: requests } = stats.endpoints.find((each) => 'subject' in each && each.subject === subject) as {
    num_requests: number;
  };
  expect(requests).toBeGreaterThan(0);

  const events = nc.subscribe('hive.main.registry.swarm.>', { max: 1 });
  await nc.flush();
  expect((await playground.run(['federation', 'join', '--swarm', 'wired'])).code).toBe(0);
  for await (const event of events) {
    expect(event.subject).toBe('hive.main.registry.swarm.registered.wired');
    expect(event.json()).toMatchObject({ name: 'wired' });
    const revision = Number(event.headers?.get('hive-revision'));
    const record = await (await jetstreamManager(nc)).streams.getMessage('HIVE_main_registry', { seq: revision });
    expect(record?.header.get('hive-record')).toBe('group');
    expect(record?.string()).toContain('"wired"');
  }
});

test.skipIf(!openssl)('the CloudEvents SDK reads what is published', async () => {
  const listener = playground.program('examples/clients/cloud-events.js', [url, 'hive.main.>'], {});
  await until(() => listener.said().includes('listening on'), 60_000);
  expect((await playground.run(['federation', 'join', '--swarm', 'code'])).code).toBe(0);
  const headers = natsHeaders();
  const token = await tokenFor(join(playground.folder, '.hivebus/keys/operator-local.key'), 'operator:local');
  headers.set('authorization', `Bearer ${token}`);
  const task = JSON.stringify({ id: 'read-me', spec: { swarm: 'code', type: 'nobody' } });
  await nc.request('hive.main.rpc.pool.SubmitTask', task, { headers, timeout: 10_000 });

  const submitted = await until(
    () => eventsOf(listener.said()).find(({ subject }) => subject === 'code.read-me'),
    60_000,
  );
  expect(submitted).toMatchObject({
    ...{ specversion: '1.0', type: 'hivebus.pool.task.submitted', source: '/hivebus/main/pool' },
    ...{ datacontenttype: 'application/json', data: { task: 'read-me', spec: { swarm: 'code' } } },
  });
  expect(Number.isNaN(Date.parse(submitted.time))).toBe(false);
  const all = eventsOf(listener.said());
  expect(all.map(({ type }) => type)).toContain('hivebus.registry.v1.RegisterSwarmRequest'); // calls are events too
  expect(new Set(all.map(({ source, id }) => `${source} ${id}`)).size).toBe(all.length);
  // Only the request that we made by hand, just now, is none.
  expect(listener.said().match(/.*: not a CloudEvent/g)).toEqual(['hive.main.rpc.pool.SubmitTask: not a CloudEvent']);
});

interface Event {
  readonly id: string;
  readonly source: string;
  readonly type: string;
  readonly subject: string;
  readonly time: string;
}

const eventsOf = (said: string): Event[] =>
  said
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as Event);
