import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Playground } from './hivebus.ts';

/** apply, get, describe and delete, against a federation that runs. */

const EXAMPLES = fileURLToPath(new URL('../../examples/manifests', import.meta.url));
const playground = new Playground();

beforeAll(async () => {
  await playground.up();
  await playground.run(['federation', 'join', '--swarm', 'code']);
});
afterAll(() => playground[Symbol.asyncDispose]());

interface Applied {
  readonly kind: string;
  readonly name: string;
  readonly change: string;
  readonly changes: readonly { path: string }[];
}

const apply = (...args: string[]) => playground.json<Applied[]>(['apply', '--swarm', 'code', ...args]);
const changesOf = (applied: readonly Applied[]) => [...new Set(applied.map(({ change }) => change))];

test.each(readdirSync(EXAMPLES))('examples/manifests/%s is what the services take', async (name) => {
  const applied = await apply('-f', join(EXAMPLES, name), '--dry-run=server');
  expect(changesOf(applied)).toEqual(['created']);
});

test('a folder is applied once; again it changes nothing; a change is told before it is made', async () => {
  expect((await playground.json<unknown[]>(['get', 'clusters'])).length).toBe(0); // the dry runs were dry
  const first = await apply('-f', EXAMPLES);
  expect(changesOf(first)).toEqual(['created']);
  expect(changesOf(await apply('-f', EXAMPLES))).toEqual(['unchanged']);

  const text = readFileSync(join(EXAMPLES, 'research-swarm.yaml'), 'utf8').replace('maxAgents: 20', 'maxAgents: 200');
  const changed = join(playground.folder, 'changed.yaml');
  writeFileSync(changed, text);
  const [cluster, agent] = await apply('-f', changed, '--diff');
  expect(cluster).toMatchObject({
    change: 'changed',
    changes: [{ path: 'spec.autoscaling.maxAgents', before: 20, after: 200 }],
  });
  expect(agent).toMatchObject({ change: 'unchanged', changes: [] });
  expect(await playground.json(['get', 'cluster', 'research-swarm'])).toMatchObject({ generation: '1' });
  await apply('-f', changed);
  expect(await playground.json(['get', 'cluster', 'research-swarm'])).toMatchObject({ generation: '2' });
});

test('what a service refuses is told at its line, and nothing of the file is applied', async () => {
  const text = readFileSync(join(EXAMPLES, 'research-swarm.yaml'), 'utf8')
    .replaceAll('research-swarm', 'other-swarm')
    .replace('size: 2Gi', 'size: much')
    .replace('type: researcher', 'type: Researcher');
  const { code, stderr } = await playground.run(['apply', '-f', '-'], text);
  expect(code).toBe(2);
  expect(stderr).toContain('2 faults, so nothing was done:');
  expect(stderr).toMatch(/standard input:33:11: spec.memory.size: "much" must be a quantity/);
  expect(stderr).toMatch(/standard input:62:9: spec.type: "Researcher" must match/);
  expect((await playground.run(['get', 'cluster', 'other-swarm'])).code).toBe(4);
});

test('another spec for a task of the same name is refused with the difference', async () => {
  const text = readFileSync(join(EXAMPLES, 'count-lines.yaml'), 'utf8').replace('type: shell', 'type: bash');
  const { code, stderr } = await playground.run(['apply', '-f', '-', '--swarm', 'code'], text);
  expect(code).toBe(1);
  expect(stderr).toContain('~ spec.type: "shell" → "bash"');
});

test('a kind that nothing keeps yet is refused by its name, with all that stands beside it', async () => {
  const memory = [
    'apiVersion: swarm.claudeflow.io/v1alpha1',
    'kind: SwarmMemory',
    'metadata: {name: findings}',
    'spec: {clusterRef: code, namespace: research, key: k, value: v}',
  ].join('\n');
  const cluster = memory.replace('SwarmMemory', 'SwarmCluster').replace(/spec: .*/, 'spec: {topology: ring}');
  const { code, stderr } = await playground.run(['apply', '-f', '-'], `${cluster}\n---\n${memory}\n`);
  expect(code).toBe(1);
  expect(stderr).toContain('standard input:7:7: kind: SwarmMemory is understood');
  expect((await playground.run(['get', 'cluster', 'findings'])).code).toBe(4);
});

test('get, describe and delete know what was applied', async () => {
  const { stdout: names } = await playground.run(['get', 'clusters,swarmagents,tasks', '-o', 'name']);
  expect(names.split('\n')).toEqual(
    expect.arrayContaining(['cluster/research-swarm', 'swarmagent/research-swarm/research-lead', 'task/count-lines']),
  );
  const { stdout: yaml } = await playground.run(['get', 'swarmagent', 'research-swarm/research-lead', '-o', 'yaml']);
  expect(yaml).toMatch(/^ {2}cognitivePattern: divergent$/m);
  // What get writes changes nothing when it is applied, and is no other task.
  await playground.run(['task', 'submit', '--swarm', 'code', '--type', 'x', '--id', 'bare', '--backoff', '90s']);
  const { stdout: written } = await playground.run(['get', 'clusters,swarmagents,tasks', '-o', 'yaml']);
  expect(written).toMatch(/^ {4}backoff: 90s$/m);
  const again = await playground.run(['apply', '-f', '-', '-o', 'json'], written);
  const found = JSON.parse(again.stdout) as { kind: string; change: string }[];
  expect(found.filter(({ change }) => change !== 'unchanged')).toEqual([]);
  expect(new Set(found.map(({ kind }) => kind))).toEqual(new Set(['cluster', 'swarmagent', 'task']));
  const { stdout: described } = await playground.run(['describe', 'task/count-lines']);
  expect(described).toMatch(/^waits for +an agent of type shell: swarm code has none of its own$/m);
  const typo = await playground.run(['delete', 'cluster', 'research-swarm', 'nosuch', 'ml-trainer']);
  expect(typo).toMatchObject({ code: 4, stdout: '' });
  expect(typo.stderr).toContain('cluster "nosuch" is not known, so nothing was removed; see hivebus get clusters');
  const { code, stdout } = await playground.run(['delete', 'cluster', 'research-swarm', 'ml-trainer']);
  expect([code, stdout]).toEqual([0, 'cluster research-swarm is removed\ncluster ml-trainer is removed\n']);
  expect((await playground.run(['delete', 'cluster/research-swarm'])).code).toBe(4);
});

const count = async (label: string) => {
  const tasks = await playground.json<unknown[]>(['task', 'list', '--label', `batch=${label}`, '--limit', '5000']);
  return tasks.length;
};

test('many tasks are applied in order, submitted from one file, and from lines of JSON; a bad one keeps none back', async () => {
  const text = readFileSync(join(EXAMPLES, 'count-lines.yaml'), 'utf8');
  const many = Array.from({ length: 150 }, (_, i) => text.replace(/name: .*/, `name: many-${i}`)).join('\n---\n');
  const file = join(playground.folder, 'many.yaml');
  writeFileSync(file, many);
  expect(changesOf(await apply('-f', file))).toEqual(['created']);
  expect(changesOf(await apply('-f', file))).toEqual(['unchanged']);
  const submitted = await playground.run([
    'task',
    'submit',
    '--swarm',
    'code',
    '-f',
    file,
    '--label',
    'batch=manifests',
  ]);
  expect(submitted).toMatchObject({ code: 0, stderr: '150 of 150 tasks are submitted\n' });
  expect(await count('manifests')).toBe(150);

  const each = ['task', 'submit', '--swarm', 'code', '--type', 'nobody', '--label', 'batch=lines', '--each', '-'];
  const lines = [...Array.from({ length: 2000 }, (_, i) => `{"line": ${i}}`), JSON.stringify('x'.repeat(300_000))];
  const { code, stdout, stderr } = await playground.run(each, lines.join('\n'));
  expect([code, stdout.trim().split('\n').length]).toEqual([1, 2000]);
  expect(stderr).toMatch(
    /^task 2001 of 2001 is refused: INVALID_ARGUMENT: spec\.payload: .*\n2000 of 2001 .*, 1 refused\n$/,
  );
  expect(await count('lines')).toBe(2000);

  const wrong = await playground.run(each, '{"a": 1}\nnope\n');
  expect(wrong).toMatchObject({ code: 2, stderr: 'hivebus: --each, line 2: "nope" must be JSON\n' });
  const alone = await playground.run([...each, '--wait', '--id', 'x'], '1\n');
  expect(alone.stderr).toContain('--id: "x" is for one task, and here are many');
  expect(await count('lines')).toBe(2000);
});

test('groups that get writes change nothing when they are applied, whatever made them', async () => {
  await playground.run(['register-swarm', 'novacron']);
  const phased = readFileSync(join(EXAMPLES, 'phases.yaml'), 'utf8').replace('name: dwcp', 'name: phased');
  const phases = await playground.run(['apply', '-f', '-', '--swarm', 'novacron'], phased);
  expect(phases.code, phases.stderr).toBe(0);
  const votes = [
    'apiVersion: swarm.claudeflow.io/v1alpha1',
    'kind: SwarmTaskGroup',
    'metadata: { name: votes }',
    'spec:',
    '  clusterRef: novacron',
    '  strategy: consensus',
    '  consensus: { votes: 3, tie: fail }',
    '  tasks: [{ name: ask, spec: { type: voter, payload: { a: 0, b: [null, ""] } } }]',
    '',
  ].join('\n');
  const chain = votes
    .replace('name: votes', 'name: chain')
    .replace(/ {2}strategy: consensus\n.*\n/, '  strategy: sequential\n  onFailure: continue\n')
    .replace(
      /tasks: .*/,
      'tasks: [{ name: one, spec: { type: v, payload: 1, timeout: 90s } }, ' +
        '{ name: two, spec: { type: v, task: "true", after: [one], approval: {} } }]',
    );
  for (const text of [votes, chain]) {
    const { code, stderr } = await playground.run(['apply', '-f', '-'], text);
    expect(code, stderr).toBe(0);
  }
  // A task that was added later is no part of what was applied.
  await playground.run(['task', 'submit', '--swarm', 'novacron', '--type', 'v', '--group', 'chain', '--payload', '1']);
  const { stdout: written } = await playground.run(['get', 'groups', '-o', 'yaml']);
  const names = ['phased', 'votes', 'chain'];
  expect(names.filter((name) => !written.includes(`\n  name: ${name}\n`))).toEqual([]);
  const again = await playground.run(['apply', '-f', '-', '-o', 'json'], written);
  expect(again.code, again.stderr).toBe(0);
  const outcomes = JSON.parse(again.stdout) as { kind: string; change: string }[];
  expect(new Set(outcomes.map(({ kind, change }) => `${kind} ${change}`))).toEqual(new Set(['group unchanged']));
});
