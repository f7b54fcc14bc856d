import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { changeLines, changesBetween } from './changes.ts';
import { type Fault, throwFaults } from './faults.ts';
import { planAll } from './plan.ts';
import { readSources } from './sources.ts';

const HEAD = 'apiVersion: swarm.claudeflow.io/v1alpha1\n';

function plan(text: string, defaults = {}) {
  const faults: Fault[] = [];
  const planned = planAll([{ file: 'm.yaml', text }], defaults, faults);
  const told = faults.map(({ line, column, text: what }) => `${line}:${column}: ${what}`);
  return { names: planned.map(({ kind, name }) => `${kind}/${name}`), told, codes: faults.map(({ code }) => code) };
}

const doc = (kind: string, spec: string, name = 'x'): string =>
  `${HEAD}kind: ${kind}\nmetadata:\n  name: ${name}\nspec:\n${spec}`;

test('the examples are well formed; comments alone are no document', () => {
  const read = (name: string) => readFileSync(join('examples/manifests', name), 'utf8');
  expect(plan(read('research-swarm.yaml'))).toMatchObject({
    names: ['cluster/research-swarm', 'swarmagent/research-swarm/research-lead'],
    told: [],
  });
  expect(plan(read('use-cases.yaml')).names).toHaveLength(3);
  expect(plan(read('count-lines.yaml'), { swarm: 'code' })).toMatchObject({ names: ['task/count-lines'], told: [] });
});

test('every fault of every document at once, each at its place, with what was meant', () => {
  const text = [
    doc('SwarmCluster', '  topology: mesh\n  autoscalling:\n    minAgents: 3\n  memory:\n    size: 10\n', 'a'),
    doc('SwarmClutser', '  topology: mesh\n', 'B'),
    doc('SwarmAgent', '  type: coder\n  clusterRef: a\n  resources:\n    cpus: "2"\n  capabilities: lint\n', 'c'),
  ].join('---\n');
  expect(plan(text).told).toEqual([
    '7:3: spec.autoscalling: is not a field of ClusterSpec; did you mean autoscaling?',
    '10:11: spec.memory.size: 10 must be a string; write it in quotes, "10"',
    '15:9: metadata.name: "B" must match [a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?',
    '13:7: kind: "SwarmClutser" is not known; did you mean SwarmCluster?',
    '27:5: spec.resources.cpus: is not a field of AgentResources; did you mean cpu?',
    '28:17: spec.capabilities: "lint" must be a list',
  ]);
});

test('what has the wrong form and what makes no sense at once, each once', () => {
  const text = doc(
    'SwarmCluster',
    [
      '  topology: [mesh]',
      '  strategy: fast',
      '  consensusThreshold: 2',
      '  autoscaling: { minAgents: x, maxAgents: -1, targetUtilization: 200 }',
      '  persistentVolumes: [{ name: data, size: 1Gi, mountpath: /data }, { name: Data, size: 0, mountPath: data }, none]',
      '  monitoring: { metricsPort: 70000 }\n',
    ].join('\n'),
  );
  const at = (each: string) => each.split(':').slice(0, 2).map(Number);
  const byPlace = (a: string, b: string) => (at(a)[0] ?? 0) - (at(b)[0] ?? 0) || (at(a)[1] ?? 0) - (at(b)[1] ?? 0);
  const { told } = plan(text);
  expect(told.sort(byPlace).map((each) => each.slice(0, 70))).toEqual([
    '6:13: spec.topology: ["mesh"] must be a string',
    '7:13: spec.strategy: "fast" must be parallel, sequential, adaptive, co',
    '8:23: spec.consensusThreshold: 2 must be 0 to 1',
    '9:29: spec.autoscaling.minAgents: "x" must be a whole number, 0 to 429',
    '9:43: spec.autoscaling.maxAgents: -1 must be a whole number, 0 to 4294',
    '9:66: spec.autoscaling.targetUtilization: 200 must be 0 to 100',
    '10:48: spec.persistentVolumes[0].mountpath: is not a field of Persiste',
    '10:76: spec.persistentVolumes[1].name: "Data" must match [a-z0-9]([-a-',
    '10:88: spec.persistentVolumes[1].size: 0 must be a string; write it in',
    '10:102: spec.persistentVolumes[1].mountPath: "data" must be an absolut',
    '10:110: spec.persistentVolumes[2]: "none" must be an object, the JSON ',
    '11:30: spec.monitoring.metricsPort: 70000 must be 0 to 65535',
  ]);
});

describe('what YAML can do and manifests may not', () => {
  test.each([
    ['a duplicate key', 'a: 1\na: 2\n', '2:1: is there twice in the same map'],
    ['a tab', 'a:\n\tb: 1\n', '2:1: is indented with a tab; YAML takes spaces only'],
    ['an anchor', 'a: &x 1\n', '1:7: &x: anchors are not taken; write out what is meant'],
    ['an alias', `${HEAD}kind: *x\n`, '2:7: '],
    ['a tag', 'a: !fancy 1\n', '1:4: Unresolved tag: !fancy'],
    ['nothing', '# only words\n', '1:1: holds no manifest, only comments or nothing'],
    ['nothing at all', '', '1:1: holds no manifest, only comments or nothing'],
    ['a list', '- a\n', '1:1: ["a"] must be an object, the JSON of a hivebus.manifest.v1.Manifest'],
    ['a list of items', '- id: g\n', '1:1: is no manifest: it has no kind. Only clusters'],
    [
      'lists of other kinds',
      'policies:\n  - name: main\nlimits: []\n',
      'limits and lending are changed by hivebus set',
    ],
    ['a text', 'hello\n', '1:1: "hello" must be an object, the JSON of a hivebus.manifest.v1.Manifest'],
    ['an open quote', 'a: "b\n', '2:1: Missing closing "quote'],
    [
      'a nest that is deep',
      doc('SwarmMemory', `  value: ${'['.repeat(60)}${']'.repeat(60)}\n`),
      'must not nest deeper than 32',
    ],
    ['a deep nest', `a: ${'['.repeat(20_000)}\n`, ': is nested too deeply'],
  ])('%s', (_, text, first) => {
    expect(plan(text).told[0]).toContain(first);
  });

  test('a million aliases are not followed', () => {
    const bomb = [
      'a: &a [x,x]',
      ...[...'bcdefghij'].map((name, i) => `${name}: &${name} [*${'abcdefghi'[i]},*${'abcdefghi'[i]}]`),
    ];
    expect(plan(bomb.join('\n')).told.length).toBeGreaterThan(9);
  });
});

describe('a text that is long and no manifest is refused before it is read', () => {
  const TOKENS = '1:1: has more than 200000 keys, values and marks; split it';
  const DOCUMENTS = '1:1: holds more than 1000 documents, the most that are taken';
  test.each([
    ['keys', '', Array.from({ length: 60_000 }, (_, i) => `key${i}: ${i}\n`).join(''), TOKENS],
    ['marks', '[', ','.repeat(4_000_000), TOKENS],
    ['documents', '', '--- a\n'.repeat(100_000), DOCUMENTS],
    ['ends of documents', '', 'a\n...\n'.repeat(100_000), DOCUMENTS],
    ['documents that just go through the first look', '', '--- a\n'.repeat(1001), DOCUMENTS],
  ])('%s', (_, before, many, told) => {
    expect(plan(before + many).told).toEqual([told]);
  });

  test('a map of many keys is read, and the second of a pair told', () => {
    const keys = Array.from({ length: 20_000 }, (_, i) => `    k${i}: ${i}\n`).join('');
    const task = doc('SwarmTask', `  clusterRef: a\n  type: x\n  payload:\n${keys}`);
    expect(plan(task)).toMatchObject({ names: ['task/x'], told: [] });
    expect(plan(`${task}    k7: 1\n`).told).toEqual(['20009:5: is there twice in the same map']);
  });
});

test('what JSON would change is told at its place, beside all other faults', () => {
  const payload = [
    '    big: 12345678901234567890',
    '    "a.b": [1, -.inf, 0xffffffffffffffff]',
    '    kept: [9007199254740991, 1e300, 1.5, "12345678901234567890"]',
    '    huge: 1e400',
    '    __proto__: {a: 1}',
  ];
  const text = doc('SwarmTask', `  type: .nan\n  timeout: soon\n  payload:\n${payload.join('\n')}\n`);
  expect(plan(text, { swarm: 'a' }).told.sort()).toEqual([
    '10:16: spec.payload["a.b"][1]: -.inf is no number in JSON; write it in quotes',
    '10:23: spec.payload["a.b"][2]: 0xffffffffffffffff is beyond 2^53, where numbers are rounded; write it in quotes',
    '12:11: spec.payload.huge: 1e400 is too large for a number; write it in quotes',
    '13:5: spec.payload.__proto__: must not be a key',
    '6:9: spec.type: .nan is no number in JSON; write it in quotes',
    '7:12: spec.timeout: "soon" must be a duration such as 30s, 5m or 2h',
    '9:10: spec.payload.big: 12345678901234567890 is beyond 2^53, where numbers are rounded; write it in quotes',
  ]);
});

test('a memory entry is checked in full, and refused by its kind', () => {
  const good = doc(
    'SwarmMemory',
    '  clusterRef: a\n  namespace: research\n  type: knowledge\n  key: k\n  value: v\n  ttl: 60\n',
  );
  const refused =
    '2:7: kind: SwarmMemory is understood, but there is no memory service yet that could keep it; leave it out';
  expect(plan(good)).toEqual({ names: [], told: [refused], codes: ['UNIMPLEMENTED'] });
  const bad = doc('SwarmMemory', '  clusterRef: a\n  namespace: Bad..one\n  tll: 60\n  key: k\n');
  expect(plan(bad).told).toEqual(['8:3: spec.tll: is not a field of MemoryManifest; did you mean ttl?']);
  const wrong = doc('SwarmMemory', '  clusterRef: a\n  namespace: Bad..one\n  key: ""\n  priority: 2000\n');
  expect(plan(wrong).told).toHaveLength(4);
});

test('a task: what it needs, and what may be said for all', () => {
  const seed = doc(
    'SwarmTask',
    '  resume: true\n  persistentVolumes:\n  - name: workspace\n    size: 100Gi\n    mountPath: /workspace\n  task: |\n    echo 1\n',
  );
  expect(plan(seed, { swarm: 'a', type: 'shell' })).toMatchObject({ names: ['task/x'], told: [] });
  const rules =
    '  type: shell\n  task: x\n  retry: {backoff: often, maxBackoff: 2m}\n  limits: {queued: 1h, total: 3x}\n';
  expect(plan(doc('SwarmTask', rules)).told).toEqual([
    '8:20: spec.retry.backoff: "often" must be a duration such as 30s, 5m or 2h',
    '9:31: spec.limits.total: "3x" must be a duration such as 30s, 5m or 2h',
    expect.stringContaining('spec.clusterRef'),
  ]);
  expect(plan(doc('SwarmTask', '  timeout: soon\n')).told).toEqual([
    '6:12: spec.timeout: "soon" must be a duration such as 30s, 5m or 2h',
    '6:3: spec.task: a script here, or a payload, must be given, and not both',
    '6:3: spec.clusterRef: must be given, here or for all manifests by --swarm',
    '6:3: spec.type: must be given, here or for all manifests by --type',
  ]);
});

test('the same thing twice is a fault; labels are kept of tasks only', () => {
  const one = doc('SwarmCluster', '  topology: mesh\n');
  expect(plan(`${one}---\n${one}`).told).toEqual(['11:9: metadata.name: "x" is there twice, in m.yaml too']);
  const labelled = one.replace('  name: x\n', '  name: x\n  labels: {a: b}\n');
  expect(plan(labelled).told).toEqual(['5:11: metadata.labels: are kept of a SwarmTask only; leave them out']);
});

describe('sources', () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'hivebus-manifest-'));
    writeFileSync(join(folder, 'b.yaml'), 'b: 1\n');
    writeFileSync(join(folder, 'a.yml'), '\uFEFFa: 1\n');
    writeFileSync(join(folder, 'notes.txt'), 'not read');
    writeFileSync(join(folder, 'bad.bin'), Buffer.from([0x61, 0x0a, 0x62, 0x62, 0xff, 0x0a]));
    writeFileSync(join(folder, 'wide.bin'), Buffer.from('\uFEFFa: 1\n', 'utf16le'));
    writeFileSync(join(folder, 'huge.bin'), Buffer.alloc((4 << 20) + 1, 0x20));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  const read = async (...paths: string[]) => {
    const faults: Fault[] = [];
    const sources = await readSources(paths, false, faults);
    return {
      texts: sources.map(({ text }) => text),
      faults: faults.map((each) => `${each.line}:${each.column}: ${each.text}`),
    };
  };

  test('a folder is its manifests by name; a byte order mark is no text', async () => {
    expect(await read(folder)).toEqual({ texts: ['a: 1\n', 'b: 1\n'], faults: [] });
  });

  test('what is no UTF-8, or too large, is told', async () => {
    expect(await read(...['bad.bin', 'wide.bin', 'huge.bin'].map((name) => join(folder, name)))).toEqual({
      texts: [],
      faults: [
        '2:3: is not UTF-8; save it as UTF-8',
        '1:1: is UTF-16; save it as UTF-8',
        '1:1: is larger than 4 MiB, the most that a manifest may have',
      ],
    });
  });

  test('what is not there is told, as is a folder without manifests', async () => {
    const none = join(folder, 'none.yaml');
    await expect(read(none)).rejects.toThrow(`cannot read "${none}": there is no such file or folder`);
    await expect(read(join(folder, 'notes.txt', 'x'))).rejects.toThrow('is a file, not a folder');
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    await expect(read(empty)).rejects.toThrow('holds no .yaml, .yml or .json file');
  });
});

test('faults become one error of their code, with a line for each', () => {
  const fault = (line: number, code: Fault['code']): Fault => ({
    file: 'm.yaml',
    line,
    column: 2,
    text: 'is wrong',
    code,
  });
  const thrown = (...faults: Fault[]) => {
    try {
      throwFaults(faults);
    } catch (error) {
      return error;
    }
  };
  expect(thrown()).toBeUndefined();
  expect(thrown(fault(1, 'UNIMPLEMENTED'))).toMatchObject({ code: 'UNIMPLEMENTED' });
  expect(thrown(fault(1, 'UNIMPLEMENTED'), fault(2, 'INVALID_ARGUMENT'))).toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: '2 faults, so nothing was done:\nm.yaml:1:2: is wrong\nm.yaml:2:2: is wrong',
  });
});

test('changes are told part by part; a default is the same as nothing', () => {
  const before = { topology: 'mesh', memory: { type: 'redis', replication: 0 }, metrics: [], ratios: { a: 1, b: 2 } };
  const after = { topology: 'star', memory: { type: 'redis', size: '2Gi' }, ratios: { b: 2 } };
  expect(changeLines(changesBetween('spec', before, after))).toEqual([
    '~ spec.topology: "mesh" → "star"',
    '+ spec.memory.size: "2Gi"',
    '- spec.ratios.a: 1',
  ]);
  expect(changesBetween('spec', { enabled: false, list: [] }, undefined)).toEqual([]);
});
