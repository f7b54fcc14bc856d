import { afterAll, beforeAll, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import { Federation } from './federation.ts';
import type { Started } from './hivebus.ts';
import { isServing } from './replicas.ts';
import { kill, LIMIT_MS, PATIENCE_MS, Storm, TASKS } from './storm.ts';

/**
 * Agents, the pool's leader and the broker, each killed in the middle of a thousand tasks that succeed, fail, fail for a
 * while, are cancelled, have a claim, or are reported twice. What came of it is read from the journal (`audit.ts`).
 */

let federation: Federation;
beforeAll(async () => {
  federation = await Federation.start(2);
});
afterAll(() => federation[Symbol.asyncDispose]());

/** Two replicas of the pool that serve, one of them leads. */
async function killLeader(): Promise<void> {
  await kill(await federation.leader('pool'));
  federation.service('pool');
  await until(() => federation.running('pool').every(isServing), PATIENCE_MS);
  await federation.leader('pool');
}

test(
  'agents are killed one by one, stopped and gone on, and a third of them killed at once',
  async () => {
    await using storm = new Storm(federation, 'agents');
    await storm.start(9);
    const { workers } = storm;
    const at = (i: number) => workers[i] as Started;
    const submitting = storm.submit(TASKS / 2, TASKS);
    await storm.ended(100);
    at(0).child.kill('SIGSTOP');
    await storm.ended(200);
    await Promise.all([kill(at(1)), submitting]);
    await storm.cancel();
    await storm.ended(350);
    await kill(at(2));
    await storm.ended(500);
    await Promise.all([at(3), at(4), at(5)].map(kill));
    const isGivenAway = async () => {
      const { agent } = await federation.hive.pool.getAgent({ swarm: 'code', name: 'agents-0' });
      return agent?.state === 'AGENT_STATE_UNREACHABLE';
    };
    await until(isGivenAway, PATIENCE_MS);
    at(0).child.kill('SIGCONT');
    await storm.expectTruth();
  },
  LIMIT_MS,
);

test(
  "the pool's leader is killed, and killed again",
  async () => {
    await using storm = new Storm(federation, 'leader');
    await storm.start(8);
    await storm.ended(200);
    await Promise.all([killLeader(), storm.submit(TASKS / 2, TASKS)]);
    await storm.ended(500);
    await Promise.all([killLeader(), storm.cancel()]);
    await storm.expectTruth();
  },
  LIMIT_MS,
);

test(
  'the broker is killed, and killed again',
  async () => {
    await using storm = new Storm(federation, 'broker');
    await storm.start(8);
    await storm.ended(200);
    await Promise.all([federation.nats.restart('SIGKILL'), storm.submit(TASKS / 2, TASKS)]);
    await storm.ended(500);
    await Promise.all([federation.nats.restart('SIGKILL'), storm.cancel()]);
    await storm.expectTruth();
  },
  LIMIT_MS,
);
