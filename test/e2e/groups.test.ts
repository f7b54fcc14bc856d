import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import type { Group } from '../../libs/wire/hivebus/pool/v1/group.ts';
import type { GroupTask, Task, TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { PoolEvent } from '../../services/resource-pool/core/state.ts';
import { Federation } from './federation.ts';
import { Playground } from './hivebus.ts';

/** Tasks that belong together, with real processes: the pool's leader is killed, people decide by the command line. */

const PATIENCE_MS = 120_000;

const WIDTH = 6;
const LAYERS = 6;
const AT_ONCE = 4;

const spec = (after: readonly string[]): TaskSpec => ({
  ...{ swarm: '', type: 'grid', capabilities: [], script: '', timeoutMs: 0, maxAttempts: 50, priority: 0 },
  ...{ labels: {}, title: '' },
  ties: {
    after: after.map((task) => ({ task, onFailure: 'FAILURE_POLICY_UNSPECIFIED' })),
    ...{ group: '', phase: '', vote: 0 },
  },
});

/** Layers of tasks, each of which depends on two of the layer before. */
const grid = (): GroupTask[] =>
  Array.from({ length: WIDTH * LAYERS }, (_, i) => {
    const [layer, place] = [Math.floor(i / WIDTH), i % WIDTH];
    const before = [place, (place + 1) % WIDTH].map((each) => `l${layer - 1}-${each}`);
    return { name: `l${layer}-${place}`, spec: spec(layer === 0 ? [] : before) };
  });

test('a group goes on when the pool’s leader is killed in the midst of it, and each task waits for those before', async () => {
  await using federation = await Federation.start(2);
  const { pool } = federation.hive;
  for (const name of ['a', 'b', 'c']) {
    await federation.ready(['--type', 'grid', '--name', name, '--slots', '2', '--exec', 'sleep 0.05; echo 1']);
  }
  const common = { swarm: 'code', title: '', strategy: 'GROUP_STRATEGY_PARALLEL', maxConcurrency: AT_ONCE } as const;
  const group = { ...common, onFailure: 'FAILURE_POLICY_CANCEL', phases: [] } as const;
  const request = { id: 'grid', spec: { ...group, phases: [] }, tasks: grid(), idempotent: true };
  await federation.settled(() => pool.submitGroup(request));
  const get = async (): Promise<Group | undefined> =>
    (await federation.settled(() => pool.getGroup({ id: 'grid', linearizable: true }))).group;
  for (const enough of [5, 15]) {
    await until(async () => ((await get())?.counts?.succeeded ?? 0) >= enough, PATIENCE_MS);
    const leader = await federation.leader('pool');
    leader.child.kill('SIGKILL');
    await leader.ended;
    federation.service('pool');
  }
  const done = await until(async () => {
    const found = await get();
    return found?.endedAt ? found : undefined;
  }, PATIENCE_MS);
  expect(done).toMatchObject({ state: 'GROUP_STATE_SUCCEEDED', counts: { succeeded: WIDTH * LAYERS } });
  checkOrder((await federation.truth()).events);
}, 400_000);

/** What the journal says: dependencies before dependants, the bound, one end each. */
function checkOrder(events: readonly PoolEvent[]): void {
  const specs = new Map<string, TaskSpec>();
  const ended = new Set<string>();
  const inHand = new Set<string>();
  for (const { type, data } of events) {
    if (type === 'task.submitted' && data.spec) specs.set(data.task, data.spec);
    if (type === 'task.released') inHand.add(data.task);
    if (type === 'task.assigned') {
      for (const { task } of specs.get(data.task)?.ties?.after ?? []) expect(ended.has(task)).toBe(true);
    }
    if (type === 'task.ended') {
      expect(ended.has(data.task)).toBe(false);
      ended.add(data.task);
      inHand.delete(data.task);
    }
    expect(inHand.size).toBeLessThanOrEqual(AT_ONCE);
  }
  expect(ended.size).toBe(WIDTH * LAYERS);
  expect(events.filter(({ type }) => type === 'group.ended')).toHaveLength(1);
}

const playground = new Playground();
beforeAll(() => playground.up());
afterAll(() => playground[Symbol.asyncDispose]());

const groupIs = (id: string, accepts: (group: Group) => boolean): Promise<Group> =>
  until(async () => {
    const group = await playground.json<Group>(['group', 'get', id]);
    return accepts(group) ? group : undefined;
  }, PATIENCE_MS);

test('phases by a manifest: the gate looks at results and waits for a yes; results reach those that depend on them', async () => {
  await playground.agent(['--type', 'shell', '--name', 'sh', '--allow-scripts']);
  const file = fileURLToPath(new URL('../../examples/manifests/phases.yaml', import.meta.url));
  const dry = await playground.run(['apply', '-f', file, '--swarm', 'code', '--dry-run=server']);
  expect(dry.stderr).toBe('');
  expect(dry.stdout).toMatch(/group\/dwcp\s+created\s+3 tasks/);
  expect((await playground.run(['apply', '-f', file, '--swarm', 'code'])).code).toBe(0);
  const waiting = await groupIs('dwcp', ({ gates }) => gates.length > 0);
  expect(waiting.gates[0]).toMatchObject({ phase: 'measure', state: 'GATE_STATE_WAITING' });
  const why = await playground.run(['explain', 'dwcp-build']);
  expect(why.stdout).toContain('at whose gate it waits for a yes');
  expect(why.stdout).toMatch(
    /It goes on when\n.*says yes to going on after phase measure:\n {4}hivebus group approve dwcp\n/,
  );
  const approved = await playground.run(['group', 'approve', 'dwcp', '--reason', 'the numbers are fine']);
  expect(approved.stdout).toContain('go after phase measure');
  const done = await groupIs('dwcp', ({ endedAt }) => endedAt !== undefined);
  expect(done).toMatchObject({ state: 'GROUP_STATE_SUCCEEDED', counts: { succeeded: 3 } });
  expect(await playground.json<Task>(['task', 'get', 'dwcp-check'])).toMatchObject({ result: { checked: true } });
  const again = await playground.run(['apply', '-f', file, '--swarm', 'code']);
  expect(again.stdout).toMatch(/group\/dwcp\s+unchanged/);
});

test('a task after others, one that needs a yes, and a circle, by the command line', async () => {
  await playground.agent(['--type', 'plain', '--name', 'plain', '--exec', 'echo 1']);
  const submit = (id: string, ...more: string[]) =>
    playground.run(['task', 'submit', '--swarm', 'code', '--type', 'plain', '--id', id, ...more]);
  await submit('first', '--approval', 'swarm');
  await submit('second', '--after', 'first');
  const typo = await submit('third', '--after', 'secnod');
  expect(typo.stderr).toContain('did you mean second?');
  expect((await submit('own', '--after', 'own')).stderr).toContain('own -> own');
  expect((await playground.run(['task', 'list', '--state', 'blocked', '-o', 'name'])).stdout).toContain('task/second');
  expect((await playground.run(['task', 'approve', 'first'])).stdout).toContain('approved');
  await until(
    async () => (await playground.json<Task>(['task', 'get', 'second'])).state === 'TASK_STATE_SUCCEEDED',
    PATIENCE_MS,
  );
});
