import { expect, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { createBusClient } from '../../libs/rpc/bus-client.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import {
  GetSwarmResponse,
  ListSwarmsResponse,
  RegistryServiceService,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { ask, busClient, openBus, serveOnBus, server, serverSide } from './rpc-harness.ts';

/** Calls over the bus that are not answered at once: nobody there, asked again, given up, too many, a server that stops. */

openBus();

test('nobody there is said clearly', async () => {
  const error = await refused(busClient({ patienceMs: 0 }).listSwarms({}));
  expect(error).toMatchObject({ code: 'UNAVAILABLE', reason: 'NO_RESPONDERS' });
  expect(error.message).toContain('nothing serves registry on this bus');
});

test('a closed connection is told as such', async () => {
  const closed = await connectBus({ servers: server.url, name: 'closed', jetStream: false });
  await closed.close();
  const client = createBusClient(closed, 'registry', RegistryServiceService, { federation: 'main' });
  expect(await refused(client.getSwarm({}))).toMatchObject({ code: 'UNAVAILABLE', reason: 'BUS_CLOSED' });
  const stream = client.watchSwarms({})[Symbol.asyncIterator]();
  expect(await refused(stream.next())).toMatchObject({ code: 'UNAVAILABLE', reason: 'BUS_CLOSED' });
});

test('a service that comes within the patience is found', async () => {
  const answer = busClient({ patienceMs: 20_000 }).listSwarms({}, { timeoutMs: 20_000 });
  await using _ = await serveOnBus({ listSwarms: async () => ListSwarmsResponse.fromJSON({ total: 1 }) });
  expect((await answer).total).toBe(1);
});

test('what may pass is tried again under the same request id, what may not is not', async () => {
  const seen: unknown[] = [];
  await using _ = await serveOnBus({
    getSwarm: async ({ name }, call) => {
      seen.push(call.request);
      if (name === 'never') throw new HiveError('ABORTED', 'no');
      if (seen.length < 4) throw new HiveError('UNAVAILABLE', 'later');
      return GetSwarmResponse.fromJSON({});
    },
  });
  const client = busClient({ rng: () => 0 });
  await client.getSwarm({ name: 'soon' });
  expect(seen).toHaveLength(4);
  expect(new Set(seen.map((id) => JSON.stringify(id))).size).toBe(1);
  await refused(client.getSwarm({ name: 'never' }));
  expect(seen).toHaveLength(5);
});

test('what one replica does not answer is asked of all, and the first answer counts', async () => {
  const silent = () => new Promise<GetSwarmResponse>(() => {});
  await using _one = await serveOnBus({ getSwarm: silent });
  await using _other = await serveOnBus({ getSwarm: async () => GetSwarmResponse.fromJSON({ revision: '7' }) });
  const client = busClient({ attemptMs: 20 });
  const answers = await Promise.all(Array.from({ length: 20 }, () => client.getSwarm({ name: 'a' })));
  expect(answers.map(({ revision }) => revision)).toEqual(Array(20).fill('7'));
});

test('a repeat of what is being done is not done again', async () => {
  const waiting: (() => void)[] = [];
  let heard = 0;
  await using _ = await serveOnBus({
    getSwarm: () => new Promise((resolve) => waiting.push(() => resolve(GetSwarmResponse.fromJSON({ revision: '3' })))),
  });
  serverSide.subscribe('_HIVE.*.rpc.registry.GetSwarm', { callback: () => void heard++ });
  const answer = busClient({ attemptMs: 20 }).getSwarm({ name: 'a' });
  await until(() => heard >= 2);
  expect(waiting.length).toBe(1);
  waiting[0]?.();
  expect((await answer).revision).toBe('3');
});

test('the deadline ends a call on both sides', async () => {
  const aborted: unknown[] = [];
  await using _ = await serveOnBus({
    getSwarm: (_, { signal }) =>
      new Promise(() => signal.addEventListener('abort', () => aborted.push(signal.reason.code))),
  });
  // On a busy machine a call may be too late before it has reached the method: then another is made.
  await until(async () => {
    const error = await refused(busClient().getSwarm({}, { timeoutMs: 100 }));
    expect(error.code).toBe('DEADLINE_EXCEEDED');
    return aborted.length > 0;
  });
  expect(aborted[0]).toBe('DEADLINE_EXCEEDED');
});

test('a caller may give up', async () => {
  let finish: (() => void) | undefined;
  const getSwarm = () =>
    new Promise<GetSwarmResponse>((resolve) => {
      finish = () => resolve(GetSwarmResponse.fromJSON({}));
    });
  await using _ = await serveOnBus({ getSwarm });
  const controller = new AbortController();
  const call = busClient().getSwarm({}, { signal: controller.signal });
  await until(() => finish);
  controller.abort();
  expect((await refused(call)).code).toBe('CANCELLED');
  finish?.();
  expect((await refused(busClient().getSwarm({}, { signal: controller.signal }))).code).toBe('CANCELLED');
});

test('more requests than the bound are refused with a hint, and succeed later', async () => {
  const waiting: (() => void)[] = [];
  const getSwarm = () =>
    new Promise<GetSwarmResponse>((resolve) => waiting.push(() => resolve(GetSwarmResponse.fromJSON({}))));
  await using _ = await serveOnBus({ getSwarm }, { maxRequests: 2 });
  const first = [busClient().getSwarm({}), busClient().getSwarm({})];
  await until(() => waiting.length === 2);
  const { json } = await ask('GetSwarm', '{}');
  expect(json).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, retryAfterMs: 20 });
  const third = busClient().getSwarm({});
  for (const each of waiting.splice(0)) each();
  await Promise.all(first);
  await until(() => waiting.length === 1);
  waiting[0]?.();
  await third;
});

test('a stopping server answers what is running and lets a second one take over', async () => {
  let finish: (() => void) | undefined;
  const first = await serveOnBus({
    getSwarm: () =>
      new Promise((resolve) => {
        finish = () => resolve(GetSwarmResponse.fromJSON({ revision: '1' }));
      }),
  });
  const running = busClient().getSwarm({});
  await until(() => finish);
  const stopped = first.stop();
  await using _ = await serveOnBus({ getSwarm: async () => GetSwarmResponse.fromJSON({ revision: '2' }) });
  expect((await busClient().getSwarm({})).revision).toBe('2');
  finish?.();
  expect((await running).revision).toBe('1');
  await stopped;
});
