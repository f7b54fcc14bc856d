import { afterAll, beforeAll, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import { Federation } from './federation.ts';
import type { Started } from './hivebus.ts';
import { grpcPortOf, isServing } from './replicas.ts';
import { kill, LIMIT_MS, PATIENCE_MS, Storm, TASKS } from './storm.ts';

/**
 * Agents that have nothing but gRPC sessions with two replicas of the pool, which are killed in the middle of a thousand
 * tasks: the one that leads, the one that does not, and some of the agents.
 */

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.start(2);
});
afterAll(() => federation[Symbol.asyncDispose]());

/** Kills a replica of the pool and starts another at its address. */
async function replace(replica: Started): Promise<void> {
  await kill(replica);
  federation.service('pool', grpcPortOf(replica));
  await until(() => federation.running('pool').every(isServing), PATIENCE_MS);
}

test(
  'replicas of the pool are killed under the sessions of agents',
  async () => {
    const addresses = federation.running('pool').map((replica) => `127.0.0.1:${grpcPortOf(replica)}`);
    await using storm = new Storm(federation, 'session');
    await storm.start(6, addresses);
    const [first, second] = storm.workers as [Started, Started];
    await storm.ended(150);
    const leader = await federation.leader('pool');
    const follower = federation.running('pool').find((replica) => replica !== leader) as Started;
    await Promise.all([replace(follower), storm.submit(TASKS / 2, TASKS)]);
    await storm.ended(350);
    await replace(await federation.leader('pool'));
    await storm.ended(550);
    await Promise.all([kill(first), kill(second), storm.cancel()]);
    await storm.expectTruth();
  },
  LIMIT_MS,
);
