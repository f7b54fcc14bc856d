import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { currentNats } from '../../libs/testkit/current-nats.ts';
import { type ClusterServer, type NatsCluster, startNatsCluster } from '../../libs/testkit/nats-cluster.ts';
import { startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import { Playground } from '../e2e/hivebus.ts';
import { Replicas } from '../e2e/replicas.ts';
import { PATIENCE_MS } from './load.ts';

/** What `hivebus doctor` says of three servers: all there, one lost in each way, most of them lost, and set wrongly. */

const found = currentNats();
const binary = 'path' in found ? found.path : '';

interface Finding {
  readonly check: string;
  readonly status: string;
  readonly found: string;
  readonly mend: string;
}

describe.skipIf(binary === '')('doctor on three servers', () => {
  let cluster: NatsCluster;
  let playground: Playground;

  beforeAll(async () => {
    cluster = await startNatsCluster({ binary });
    playground = new Playground();
    const env = { HIVEBUS_NATS: cluster.urls.join(','), HIVEBUS_REPLICAS: '3', HIVEBUS_GRPC_PORT: '0' };
    const replicas = new Replicas(playground, () => env, PATIENCE_MS);
    for (const name of ['registry', 'pool'] as const) replicas.start(name);
    await replicas.serving();
    await cluster.whole();
  });
  afterAll(async () => {
    await playground?.[Symbol.asyncDispose]();
    await cluster?.[Symbol.asyncDispose]();
  });

  /** What is not as it should be, and the exit code. Keys are another test's, and monitoring ports are not named. */
  async function examine(
    servers: readonly string[] = cluster.urls,
  ): Promise<{ code: number | null; wrong: Finding[] }> {
    const { code, stdout } = await playground.run(['doctor', '--nats', servers.join(','), '-o', 'json']);
    const { findings } = JSON.parse(stdout) as { findings: Finding[] };
    const wrong = findings.filter(({ check, status }) => status !== 'ok' && check !== 'keys' && check !== 'sync');
    return { code, wrong };
  }

  const serverCheck = ({ url }: ClusterServer) => `server ${url}`;

  test('all three are well', async () => {
    expect(await examine()).toEqual({ code: 0, wrong: [] });
  });

  test('one address of a cluster, and servers that are no cluster', async () => {
    const [url = ''] = cluster.urls;
    const one = await examine([url]);
    expect(one).toMatchObject({
      code: 0,
      wrong: [{ check: 'servers', mend: expect.stringContaining('name them all') }],
    });
    const stranger = await startNatsServer();
    const apart = await examine([url, stranger.url]);
    await stranger.stop();
    expect(apart.code).toBe(1);
    expect(apart.wrong).toContainEqual(
      expect.objectContaining({ check: 'cluster', status: 'fault', found: expect.stringContaining('of none') }),
    );
  });

  test('a journal with one copy and a limit; its server is lost; one is stopped; two of three are lost', async () => {
    const { stream, check } = { stream: 'HIVE_main_registry', check: 'journal HIVE_main_registry' };
    const nc = await connect({ servers: [...cluster.urls] });
    await (await jetstreamManager(nc)).streams.update(stream, { num_replicas: 1, max_age: 86_400e9 });
    await nc.close();
    expect((await examine()).wrong).toMatchObject([
      { check, status: 'fault', found: expect.stringContaining('has a limit') },
      { check: `${check}, its copies`, status: 'warning', mend: expect.stringContaining('--replicas 3') },
    ]);

    const keeper = await cluster.leaderOf(stream);
    await keeper.kill();
    const down = await examine();
    expect(down.code).toBe(1);
    expect(down.wrong).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ check: serverCheck(keeper), status: 'fault', found: 'nobody listens there' }),
        expect.objectContaining({ check, status: 'fault', mend: expect.stringContaining('start those that are down') }),
      ]),
    );
    await keeper.start();

    const [first, second] = cluster.servers.filter((server) => server !== keeper) as [ClusterServer, ClusterServer];
    first.pause();
    const stopped = await examine();
    first.resume();
    expect(stopped.code).toBe(1);
    expect(stopped.wrong).toContainEqual(
      expect.objectContaining({
        check: serverCheck(first),
        status: 'fault',
        found: expect.stringContaining('stopped'),
      }),
    );

    await Promise.all([first.kill(), second.kill()]);
    // A leader finds out after some seconds that it has lost the others.
    const stands = ({ check, status, mend }: Finding) =>
      check.startsWith('journal HIVE_main_pool') &&
      status === 'fault' &&
      mend.includes('more than half of the servers');
    const alone = await until(async () => {
      const report = await examine();
      return report.wrong.some(stands) ? report : undefined;
    }, PATIENCE_MS);
    expect(alone.code).toBe(1);
    expect(alone.wrong).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ check: serverCheck(first), status: 'fault' }),
        expect.objectContaining({ check: serverCheck(second), status: 'fault' }),
      ]),
    );
  });
});
