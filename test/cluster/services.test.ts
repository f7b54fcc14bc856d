import { afterEach, describe, onTestFailed, test } from 'vitest';
import { currentNats } from '../../libs/testkit/current-nats.ts';
import type { ClusterServer } from '../../libs/testkit/nats-cluster.ts';
import { noNetwork } from '../../libs/testkit/network.ts';
import type { Started } from '../e2e/hivebus.ts';
import { ClusteredFederation, SERVICES } from './federation.ts';

/**
 * Registry, pool and agents as processes on three real servers. Servers and replicas are killed, stopped, emptied and cut
 * off, one at a time and two at once. Every accepted task and swarm is there exactly once, what agents do ends exactly
 * once, the replicas agree, clients see nothing but errors that may pass, and it goes on.
 */

const found = currentNats();
const binary = 'path' in found ? found.path : '';

let federation: ClusteredFederation | undefined;

async function begin(cables: boolean): Promise<ClusteredFederation> {
  const all = await ClusteredFederation.start({ binary, cables });
  onTestFailed(() => console.log(all.said()));
  federation = all;
  return all;
}

async function kill(replica: Started): Promise<void> {
  replica.child.kill('SIGKILL');
  await replica.ended;
}

afterEach(async () => {
  await federation?.[Symbol.asyncDispose]();
  federation = undefined;
});

/** Work goes on without the server; then it is back, and has everything. */
async function without(server: ClusterServer, fault: 'cutOff' | 'pause', end: 'heal' | 'resume'): Promise<void> {
  server[fault]();
  await federation?.clients.moves();
  server[end]();
  await federation?.cluster.whole();
}

describe.skipIf(binary === '')('services on three servers', () => {
  test('who leads the journal, who leads a service, and both at once are killed; a server comes back empty', async () => {
    const all = await begin(false);
    const { replicas, clients } = all;
    const server = await all.journalLeader();
    await server.kill();
    await clients.moves();
    await server.start({ emptyDisk: true });
    await all.restore();

    for (const name of SERVICES) {
      await kill(await replicas.leader(name));
      await clients.moves();
      await all.restore();
    }

    const [next, pool] = await Promise.all([all.journalLeader(), replicas.leader('pool')]);
    await Promise.all([next.kill(), kill(pool)]);
    await clients.moves();
    await next.start();
    await all.restore();

    await all.expectNothingLost();
  });
});

describe.skipIf(binary === '' || noNetwork() !== undefined)('services on three servers with cables', () => {
  test('a server that leads the journal, and that the pool leader is connected to, is cut off; one is stopped', async () => {
    const all = await begin(true);
    const server = await all.poolLeadersServer();
    await all.leadFrom(server);
    await without(server, 'cutOff', 'heal');
    await without(await all.poolLeadersServer(), 'pause', 'resume');
    await all.expectNothingLost();
  });
});
