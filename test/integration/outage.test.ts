import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type AllInOne, createAllInOne } from '../../cli/all-in-one.ts';
import { connectBus } from '../../libs/bus/connect.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import { bind } from '../../libs/rpc/binding.ts';
import { createBusClient } from '../../libs/rpc/bus-client.ts';
import { serveBus } from '../../libs/rpc/bus-server.ts';
import type { Agent } from '../../libs/sdk/agent-options.ts';
import { connect } from '../../libs/sdk/connect.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { readTaskLog } from '../../libs/sdk/read-log.ts';
import { createSwarm, type Swarm } from '../../libs/sdk/swarm.ts';
import type { TaskRun } from '../../libs/sdk/task.ts';
import { waitForTask } from '../../libs/sdk/wait.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import { RegistryServiceService, WatchSwarmsResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';

/** What clients that go on for long do when the services or the bus go away, and when they are back. */

const PATIENCE_MS = 50_000;

const home = mkdtempSync(`${tmpdir()}/hivebus-outage-`);
let server: NatsServer;
let services: AllInOne;
let hive: Hive;
let swarm: Swarm;
let agent: Agent;
/** The attempt that is running, to write its output and to end it. */
let running: { readonly run: TaskRun; end(): void } | undefined;
const told: string[] = [];

const serve = () =>
  createAllInOne({ nats: [server.url], host: '127.0.0.1', grpcPort: 0, operatorKeys: home, onRefused: () => {} });

beforeAll(async () => {
  server = await startNatsServer();
  services = await serve();
  hive = await connect({ servers: server.url, home, env: {} });
  swarm = await createSwarm({ hive, name: 'code' });
  agent = await swarm.createAgent({
    ...{ name: 'x', type: 'writer', onEvent: (text, about) => about === 'agent' && told.push(text) },
    handler: (_, run) =>
      new Promise((resolve) => {
        running = { run, end: () => resolve('done') };
      }),
  });
});
afterAll(async () => {
  await agent.stop();
  await swarm.close();
  await hive.close();
  await services[Symbol.asyncDispose]();
  await server.stop();
  rmSync(home, { recursive: true });
});

/** A task that runs, its log being followed and its end waited for. */
async function follow() {
  running = undefined;
  const { id } = await swarm.submitTask({ type: 'writer' });
  const lines: string[] = [];
  const faults: HiveError[] = [];
  const back: string[] = [];
  const say = (who: string) => ({ onFault: (error: HiveError) => faults.push(error), onBack: () => back.push(who) });
  const reading = (async () => {
    for await (const { text } of readTaskLog(hive, id, { follow: true, ...say('log') })) lines.push(text);
  })();
  const waiting = waitForTask(hive, id, say('wait'));
  const { run, end } = await until(() => running, PATIENCE_MS);
  run.log('one');
  await until(() => lines.length === 1, PATIENCE_MS);
  await until(() => back.includes('wait'), PATIENCE_MS); // in step for the first time
  back.length = 0;
  return { run, end, lines, faults, back, reading, waiting };
}

test.each([
  [
    'the services are started again',
    async () => {
      await services[Symbol.asyncDispose]();
      services = await serve();
    },
  ],
  ['the bus is killed and comes back', () => server.restart('SIGKILL')],
])(
  '%s: a log is read on and a task waited for, nothing twice and nothing missed',
  async (_, outage) => {
    const { run, end, lines, faults, back, reading, waiting } = await follow();
    await outage();
    await until(() => back.includes('log') && back.includes('wait'), PATIENCE_MS);
    expect(faults.every(({ retryable }) => retryable)).toBe(true);
    run.log('two');
    run.log('three');
    await until(() => lines.length === 3, PATIENCE_MS);
    end();
    expect(await waiting).toMatchObject({ state: 'TASK_STATE_SUCCEEDED', result: 'done' });
    await reading;
    expect(lines).toEqual(['one', 'two', 'three']);
  },
  120_000,
);

test('an agent says once that the bus is lost, and once that the pool answers again', async () => {
  told.length = 0;
  await server.restart('SIGKILL');
  await until(() => told.includes('the pool answers again'), PATIENCE_MS);
  expect(told).toEqual(['the connection to the bus was lost; trying again', 'the pool answers again']);
});

test('a log that cannot be read fails like any call', async () => {
  const lines = readTaskLog(hive, 'nothing', { follow: true });
  await expect(lines.next()).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a stream ends at once when its connection breaks, and soon when its server has died', async () => {
  const aborted: string[] = [];
  const api = {
    async *watchSwarms(_: object, { signal }: { signal: AbortSignal }) {
      signal.addEventListener('abort', () => aborted.push(signal.reason.reason));
      yield WatchSwarmsResponse.fromJSON({ revision: '1' });
      await new Promise(() => {});
    },
  };
  const own = await startNatsServer();
  const [serverSide, clientSide] = await Promise.all(
    ['server', 'client'].map((name) => connectBus({ servers: own.url, name })),
  );
  if (!serverSide || !clientSide) throw new Error('not connected');
  const binding = bind('other', RegistryServiceService, () => api as never);
  await serveBus({
    nc: serverSide,
    bindings: [binding],
    authenticate: () => ({ kind: 'anonymous' }),
    version: '1.0.0',
  });
  const client = createBusClient(clientSide, 'other', RegistryServiceService, {
    federation: 'main',
    patienceMs: 20_000,
  });
  /** How a stream ends of which one item has come. */
  const open = async () => {
    const stream = client.watchSwarms({})[Symbol.asyncIterator]();
    await stream.next();
    const ended = stream.next().then(
      () => 'an item',
      ({ reason }: HiveError) => reason,
    );
    return { ended };
  };
  const first = await open();
  await own.restart('SIGKILL');
  expect(await first.ended).toBe('BUS_LOST');
  await until(() => aborted.length === 1);
  const second = await open();
  await serverSide.close();
  expect(await second.ended).toBe('STREAM_BROKEN');
  expect(aborted).toEqual(['BUS_LOST']);
  // One that listens to everything takes requests, too: no server is missed, and the request is lost.
  clientSide.subscribe('hive.>');
  const third = open();
  const back = await connectBus({ servers: own.url, name: 'server' });
  await serveBus({ nc: back, bindings: [binding], authenticate: () => ({ kind: 'anonymous' }), version: '1.0.0' });
  const { ended } = await third;
  await back.close();
  expect(await ended).toBe('STREAM_BROKEN');
  await clientSide.close();
  await own.stop();
});
