import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Lending } from '../../cli/kinds/lending.ts';
import type { LimitsAndUsage } from '../../cli/kinds/limits.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Agent, ExplainResponse, Policy, Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { Playground } from './hivebus.ts';

/** The rules of the pool in words of the command line: policy, limits, lending, and what tasks and agents say. */

const playground = new Playground();
const PATIENCE_MS = 60_000;

beforeAll(async () => {
  await playground.up();
  for (const swarm of ['code', 'docs']) await playground.run(['federation', 'join', '--swarm', swarm]);
});
afterAll(() => playground[Symbol.asyncDispose]());

test('the policy: a part is changed, the rest stays, and a version that is over is refused', async () => {
  const before = await playground.json<Policy>(['get', 'policy', 'main']);
  expect(before).toMatchObject({ version: '1', weights: { locality: 300, cost: 50 } });
  const weights = ['--weight', 'locality=200', '--weight', 'cost=150'];
  const after = await playground.json<Policy>(['set', 'policy', ...weights, '--if-version', '1']);
  expect(after).toMatchObject({ version: '2', typicalCost: 100, weights: { performance: 250, locality: 200 } });
  expect((await playground.run(['set', 'policy', '--ageing', '30s', '--if-version', '1'])).stderr).toContain(
    'version 2',
  );
  const wrong = await playground.run(['set', 'policy', '--weight', 'localty=1']);
  expect([wrong.code, wrong.stderr]).toEqual([2, expect.stringContaining('Did you mean locality?')]);
  expect((await playground.run(['set', 'policy', '--weight', 'free=1'])).stderr).toContain('must add up to 1000');
  expect((await playground.run(['set', 'policy'])).stderr).toContain('must say what changes');
});

test("a swarm's limits, and what it uses of them", async () => {
  await playground.run(['set', 'limits', 'code', '--max-queued', '1', '--weight', '2000']);
  await playground.run(['set', 'limits', 'code', '--max-running', '7']);
  await playground.run(['task', 'submit', '--swarm', 'code', '--type', 'nobody', '--id', 'first']);
  const limits = await playground.json<LimitsAndUsage>(['get', 'limits', 'code']);
  expect(limits).toMatchObject({ maxQueued: 1, maxRunning: 7, weight: 2000, version: '2', usage: { queued: 1 } });
  const refused = await playground.run(['task', 'submit', '--swarm', 'code', '--type', 'nobody']);
  expect(refused.stderr).toContain('code');
  expect(refused.code).not.toBe(0);
  expect((await playground.run(['get', 'limits', '--swarm', 'code'])).stdout).toMatch(/^code +0\/7 +1\/1 /m);
  await playground.run(['delete', 'limits', 'code']);
  expect(await playground.json(['get', 'quota', 'code'])).toMatchObject({ maxQueued: 0, maxRunning: 0, version: '3' });
});

test('what a swarm lends, said by its own key', async () => {
  const lending = ['set', 'lending', 'docs', '--as', 'swarm:docs'];
  await playground.run([...lending, '--to', 'code', '--max-lent', '2', '--keep', '50', '--notice', '30s']);
  const known = await playground.json<Lending>([...lending, '--recall-priority', '9', '--closed']);
  expect(known).toMatchObject({ to: ['code'], maxLent: 2, keepPercent: 50, noticeMs: 30_000, closed: true, lent: 0 });
  expect((await playground.run(['get', 'lending', 'docs'])).stdout).toMatch(/^docs +nobody +0\/2 +50% +from 9 +30s/m);
  expect((await playground.run([...lending, '--to', 'code', '--to-any'])).stderr).toContain('does not go with --to');
  const opened = await playground.json<Lending>([...lending, '--open', '--to-any']);
  expect(opened).toMatchObject({ to: [], closed: false, setBy: 'swarm:docs' });
});

test('a task says which agent it wants, and an agent what it is; explain says why it was that one', async () => {
  const run = ['agent', 'run', '--swarm', 'docs', '--type', 'trainer', '--exec', 'cat'];
  const plain = playground.start([...run, '--name', 'plain']);
  const gpu = ['--label', 'gpu=yes', '--specialisation', 'vision', '--cost', '40', '--priority', '7'];
  const able = playground.start([...run, '--name', 'able', ...gpu]);
  await until(() => [plain, able].every((each) => each.said().includes('is ready')), PATIENCE_MS);
  const agent = await playground.json<Agent>(['get', 'agent', 'docs/able']);
  expect(agent).toMatchObject({ labels: { gpu: 'yes' }, specialisations: ['vision'], cost: 40, priority: 7 });
  const wants = ['--agent-label', 'gpu=yes', '--specialisation', 'vision', '--region', 'north'];
  const rules = ['--backoff', '2s', '--max-wait', '10m', '--max-total', '1h', '--priority', '3'];
  const submit = ['task', 'submit', '--swarm', 'docs', '--type', 'trainer', '--id', 'train', '--wait'];
  const task = await playground.json<Task>([...submit, ...wants, ...rules]);
  expect(task.spec).toMatchObject({
    selector: { labels: { gpu: 'yes' }, specialisations: ['vision'], region: 'north' },
    retry: { backoffMs: 2000, maxBackoffMs: 0 },
    limits: { queuedMs: 600_000, totalMs: 3_600_000 },
    priority: 3,
  });
  expect(task.attempts.map((each) => each.agent)).toEqual(['docs/able']);
  const { choice } = await playground.json<ExplainResponse>(['explain', 'train']);
  expect(choice).toMatchObject({ candidates: 1, policyVersion: '2', best: [{ agent: 'docs/able' }] });
  const wish = ['explain', '--borrow', '--swarm', 'code', '--type', 'trainer', '--agent-label', 'gpu=no'];
  expect((await playground.run(wish)).stdout).toMatch(/has the label gpu=no +0 +[12] /);
});
