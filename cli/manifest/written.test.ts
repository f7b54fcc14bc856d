import { expect, test } from 'vitest';
import type { Group } from '../../libs/wire/hivebus/pool/v1/group.ts';
import type { Task, TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { Cluster, DeclaredAgent } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { SAMPLES } from '../kinds/fixtures.ts';
import { yamlOf } from '../output.ts';
import { parseTaskManifests } from '../task-manifest.ts';
import { type Fault, throwFaults } from './faults.ts';
import { planAll } from './plan.ts';
import { agentManifest, clusterManifest, groupManifest, taskManifest, type WrittenManifest } from './written.ts';

/** What `apply` understands of a manifest that `get` has written. */
function planned(manifest: WrittenManifest) {
  const faults: Fault[] = [];
  const found = planAll([{ file: 'standard input', text: yamlOf(manifest) }], {}, faults);
  throwFaults(faults);
  return found.map(({ kind, name }) => `${kind}/${name}`);
}

function taskSpecOf(task: Task): TaskSpec | undefined {
  const faults: Fault[] = [];
  const spec = parseTaskManifests({ file: 'standard input', text: yamlOf(taskManifest(task)) }, faults)[0];
  throwFaults(faults);
  return spec;
}

const [sample] = (SAMPLES.task ?? []) as Task[];
const withSpec = (change: Partial<TaskSpec>): Task =>
  ({ ...sample, id: 'nightly', spec: { ...sample?.spec, ...change } }) as Task;

test('a task as it is stored is the task that its manifest makes', () => {
  const payloads: unknown[] = [{ a: 0, b: '', c: [false, null], d: {} }, 0, '', false, [], 'x: y', { '1e3': '0x10' }];
  for (const payload of payloads) {
    const task = withSpec({ payload, script: '' });
    expect(taskSpecOf(task)).toEqual(task.spec);
  }
  const full = withSpec({
    ...{ payload: undefined, script: 'echo "$A"\n  b: [\n', timeoutMs: 1500, maxAttempts: 7, priority: 9, title: 'T' },
    ...{ capabilities: ['a', 'b'], labels: { commit: '3f2a', empty: '' } },
    selector: { labels: { gpu: 'yes', empty: '' }, specialisations: ['sql'], region: 'north' },
    retry: { backoffMs: 5000, maxBackoffMs: 90_000 },
    limits: { queuedMs: 7_200_000, totalMs: 123 },
    continuity: { resume: true, claim: false },
    volumes: { names: ['workspace'] },
    budget: { spend: 7, hops: 3 },
  });
  expect(taskSpecOf(full)).toEqual(full.spec);
  expect(taskManifest(full).spec).toMatchObject({
    timeout: '1500ms',
    retry: { backoff: '5s', maxBackoff: '90s' },
    limits: { queued: '2h', total: '123ms' },
  });
});

test('a task with nothing to read at all', () => {
  const task = withSpec({ payload: undefined, script: '' });
  expect(taskManifest(task).spec).toMatchObject({ payload: null });
  expect(taskSpecOf(task)?.payload).toBeUndefined();
});

test('a cluster and a declared agent; what the service has made of them is passed over', () => {
  for (const cluster of (SAMPLES.cluster ?? []) as Cluster[]) {
    expect(planned(clusterManifest(cluster))).toEqual([`cluster/${cluster.name}`]);
    expect(clusterManifest(cluster).status).toMatchObject({ generation: cluster.generation });
  }
  for (const agent of (SAMPLES.swarmagent ?? []) as DeclaredAgent[]) {
    expect(planned(agentManifest(agent))).toEqual([`swarmagent/${agent.swarm}/${agent.name}`]);
  }
});

test('a group without titles stays without', () => {
  const [group] = (SAMPLES.group ?? []) as Group[];
  const { spec } = sample ?? {};
  if (!group?.spec || !spec || !sample) throw new Error('there are samples of both');
  const ties = {
    after: [{ task: 'g-one', onFailure: 'FAILURE_POLICY_FAIL' as const }],
    group: 'g',
    phase: '',
    vote: 0,
  };
  const submittedAt = group.submittedAt;
  const member = { ...sample, submittedAt, spec: { ...spec, title: '', labels: {}, payload: undefined, script: '' } };
  const tasks: Task[] = [
    { ...member, id: 'g-one' },
    { ...member, id: 'g-two', spec: { ...member.spec, ties } },
    { ...member, id: 'g-later', submittedAt: '2026-03-01T12:30:00.000Z' },
  ];
  const manifest = groupManifest({ ...group, id: 'g', spec: { ...group.spec, title: '' } }, tasks);
  expect(manifest.spec).toMatchObject({
    ...{ title: '', clusterRef: group.spec.swarm },
    tasks: [
      { name: 'one', spec: { title: '', payload: null } },
      { name: 'two', spec: { after: ['one'], onDependencyFailure: 'fail' } },
    ],
  });
  expect(planned(manifest)).toEqual(['group/g']);
});
