import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { AgentRequest, ExplainResponse, Lease } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { Playground } from './hivebus.ts';

/** Requests for agents that wait, as people see them. */

const PATIENCE_MS = 60_000;
let playground: Playground;

beforeAll(async () => {
  playground = new Playground();
  await playground.up();
  await playground.run(['register-swarm', 'poor']);
  await playground.run(['register-swarm', 'code']);
});
afterAll(() => playground?.[Symbol.asyncDispose]());

/** Asks for an agent that is not there; its id, as it is told while it waits. */
async function ask(type: string, ...options: string[]) {
  const started = playground.start(['request-resource', '--swarm', 'poor', '--type', type, '--wait', '5m', ...options]);
  const told = () => /^(request-\S+) waits, 5m at most/m.exec(started.said())?.[1];
  const id = await until(async () => told(), PATIENCE_MS);
  return { ...started, id };
}

const waiting = () => playground.json<AgentRequest[]>(['request', 'list']);

test(
  'a request that waits is told, listed, explained, and taken back by its id',
  async () => {
    const { id, ended } = await ask('nobody', '--from', 'cdoe');
    expect(await waiting()).toMatchObject([{ id, wish: { swarm: 'poor', type: 'nobody', lender: 'cdoe' } }]);
    expect((await playground.run(['get', 'requests', '--swarm', 'poor', '-o', 'name'])).stdout).toBe(`request/${id}\n`);
    expect((await playground.run(['request', 'get', id])).stdout).toMatch(/^needs +nobody$/m);
    expect(await playground.json<ExplainResponse>(['explain', id])).toMatchObject({ request: { id } });
    expect(await playground.run(['request', 'withdraw', id])).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/is taken back/),
    });
    const { code, stderr } = await ended;
    expect(code).toBe(1);
    expect(stderr).toContain('swarm cdoe is not registered (yet); did you mean code?');
    expect(stderr).toContain('the request was taken back by an operator');
    expect(await playground.run(['request', 'withdraw', id])).toMatchObject({
      code: 4,
      stderr: expect.stringMatching(/taken back meanwhile/),
    });
    expect(await playground.run(['describe', 'request', id])).toMatchObject({ code: 4 });
  },
  PATIENCE_MS * 2,
);

test('a wish that names an unknown swarm is told what was meant', async () => {
  const wish = (swarm: string, from: string) =>
    playground.run(['explain', '--borrow', '--type', 'nobody', '--swarm', swarm, '--from', from]);
  expect(await wish('poor', 'cdoe')).toMatchObject({
    ...{ code: 4, stdout: '', stderr: 'hivebus: swarm "cdoe" is not known; did you mean code?\n' },
  });
  expect((await wish('por', 'code')).stderr).toContain('did you mean poor?');
  expect((await wish('poor', 'code')).code).toBe(0);
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s takes the request back, and says so',
  async (signal) => {
    const { child, ended, id } = await ask('nobody', ...(signal === 'SIGTERM' ? ['--hold'] : []));
    child.kill(signal);
    const { code, stdout, stderr } = await ended;
    expect([code, stdout]).toEqual([130, '']);
    expect(stderr).toContain(`${id} is taken back: it waits no longer`);
    expect(await waiting()).toEqual([]);
  },
  PATIENCE_MS * 2,
);

test(
  'interrupted as an agent comes: neither the request nor a lease is left',
  async () => {
    const { child, ended, id } = await ask('rare');
    const coming = playground.agent(['--type', 'rare', '--name', 'x', '--exec', 'true']);
    await until(async () => (await playground.json<unknown[]>(['agent', 'list'])).length > 0, PATIENCE_MS);
    child.kill('SIGINT');
    const { code } = await ended;
    expect(await waiting()).toEqual([]);
    const leases = await playground.json<Lease[]>(['lease', 'list']);
    expect(leases).toMatchObject(code === 0 ? [{ id: id.replace('request', 'lease') }] : []);
    await coming;
  },
  PATIENCE_MS * 2,
);
