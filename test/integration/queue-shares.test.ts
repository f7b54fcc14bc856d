import { afterAll, beforeAll, expect, test } from 'vitest';
import { Closing } from '../../libs/service/closing.ts';
import type { Service } from '../../libs/service/run-service.ts';
import { until } from '../../libs/testkit/until.ts';
import type { SessionCall } from '../../libs/wire/hivebus/pool/v1/session.ts';
import { closePool, openPoolWith, server, swarm } from './pool-harness.ts';
import { opening, RawSession, serveSessions, submission, tokenOf } from './session-harness.ts';

/** New work has half of these: one caller may have 100 of 150. */
const JOURNAL = { maxQueue: 300, appendTimeoutMs: 60_000 };
const MAY_WAIT = 100;
const WINDOW = 512;

let pool: Service;
beforeAll(async () => {
  pool = await openPoolWith({}, JOURNAL);
}, 60_000);
afterAll(closePool);

const submissions = (name: string, count: number): Partial<SessionCall>[] =>
  Array.from({ length: count }, () => ({ submitTask: submission({ swarm: name, type: 'nobody' }) }));

test('who fills the leader’s queue by sessions is refused, and another who asks for little is not', async () => {
  await using closing = new Closing();
  const [greedy, polite] = [await swarm(closing), await swarm(closing)];
  const { address } = await serveSessions(closing, pool);
  const open = async ({ name }: { name: string }) => {
    const session = closing.use(new RawSession(address, await tokenOf({ kind: 'swarm', swarm: name })));
    session.send(opening(undefined, WINDOW)).call(1, ...submissions(name, 1));
    expect((await session.answer(1)).submitTask).toMatchObject({ created: true });
    return session;
  };
  const floods = [await open(greedy), await open(greedy)];
  const modest = await open(polite);
  const refusals = () => floods.flatMap(({ answers }) => answers.flatMap(({ refusal }) => refusal ?? []));

  server.pause(); // what is in flight stays so, and the rest waits
  for (const flood of floods) flood.call(2, ...submissions(greedy.name, WINDOW));
  const asked = floods.length * WINDOW;
  await until(() => refusals().length > asked / 2, 30_000);
  const wrong = { submitTask: submission({ swarm: polite.name, type: 'No' }) };
  modest.call(2, ...submissions(polite.name, 10), wrong);
  // What is wrong is told at once: those before it have come to the queue by then.
  expect((await modest.answer(12)).refusal).toMatchObject({ code: 'INVALID_ARGUMENT' });
  server.resume();

  for (let number = 2; number < 12; number++) {
    expect((await modest.answer(number)).submitTask).toMatchObject({ created: true });
  }
  await until(() => floods.every(({ answers }) => answers.length === 1 + WINDOW), 30_000);
  expect(refusals().length).toBeLessThanOrEqual(asked - MAY_WAIT);
  for (const refusal of refusals()) {
    expect(refusal).toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, reason: 'QUEUE_FULL' });
    expect(refusal.message).toContain(`${MAY_WAIT} commands of swarm:${greedy.name}`);
    expect(refusal.retryAfterMs).toBeGreaterThan(0);
  }
});
