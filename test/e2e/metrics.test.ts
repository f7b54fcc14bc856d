import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { until } from '../../libs/testkit/until.ts';
import { ROOT } from './clients/programs.ts';
import { Federation } from './federation.ts';
import type { ServiceName } from './replicas.ts';

/** What Prometheus scrapes of each service, and what dashboards and alerts ask for. */

const SERVICES: readonly ServiceName[] = ['registry', 'pool', 'telemetry'];
const PATIENCE_MS = 60_000;

let federation: Federation;
let before: Record<ServiceName, Sample[]>;

beforeAll(async () => {
  const env = { HIVEBUS_METRICS_PORT: '0', HIVEBUS_TRACES: 'always' };
  federation = await Federation.start(1, env, 'telemetry');
  before = await scrapeAll();
});
afterAll(() => federation?.[Symbol.asyncDispose]());

interface Sample {
  readonly name: string;
  readonly labels: string;
  readonly value: number;
}

async function scrape(name: ServiceName): Promise<Sample[]> {
  const said = federation.running(name)[0]?.said() ?? '';
  const port = /"metricsPort":(\d+)/.exec(said)?.[1];
  const text = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
  return text.split('\n').flatMap((line) => {
    const [, sample = '', labels = '', value] = /^([a-z_]+)(\{.*\})? (\S+)/.exec(line) ?? [];
    return sample === '' ? [] : [{ name: sample, labels, value: Number(value) }];
  });
}

async function scrapeAll(): Promise<Record<ServiceName, Sample[]>> {
  const [registry, pool, telemetry] = await Promise.all(SERVICES.map(scrape));
  return { registry: registry ?? [], pool: pool ?? [], telemetry: telemetry ?? [] };
}

/** The sum of a metric's samples that have these labels. */
const sum = (samples: readonly Sample[], name: string, ...labels: string[]): number =>
  samples
    .filter((sample) => sample.name === name && labels.every((label) => sample.labels.includes(label)))
    .reduce((total, { value }) => total + value, 0);

test('every service tells what it does, and the values move', async () => {
  const { hive } = federation;
  await hive.registry.registerSwarm({ name: 'code', project: 'changed' });
  hive.nc.publish('hive.main.heartbeat.code', 'nonsense');
  hive.nc.publish('hive.main.heartbeat.code.worker', 'nonsense');
  const agent = await federation.ready(['--type', 'work', '--name', 'worker', '--exec', 'echo 1']);
  const [id = ''] = await federation.submit('measured', 1, { type: 'work' });
  await until(async () => (await hive.pool.getTask({ id })).task?.state === 'TASK_STATE_SUCCEEDED', PATIENCE_MS);
  await federation.submit('waiting', 3, { type: 'nobody' });
  const command = federation.playground.start(['status'], federation.env);
  await command.ended;

  const moved = async (isSo: (now: Record<ServiceName, Sample[]>) => boolean) =>
    until(async () => isSo(await scrapeAll()), PATIENCE_MS);
  await moved(({ pool }) => sum(pool, 'swarm_tasks_completed_total', 'outcome="succeeded"') === 1);
  await moved(({ pool }) => sum(pool, 'swarm_task_duration_seconds_count') === 1);
  await moved(({ pool }) => sum(pool, 'pool_tasks', 'state="queued"') === 3);
  await moved(({ pool }) => sum(pool, 'swarm_agents_total', 'swarm="code"', 'state="ready"') === 1);
  await moved(({ pool }) => sum(pool, 'pool_ignored_heartbeats_total') > 0);
  await moved(({ registry }) => sum(registry, 'registry_swarms', 'liveness="healthy"') === 1);
  await moved(({ registry }) => sum(registry, 'registry_ignored_messages_total') > 0);
  await moved(({ telemetry }) => sum(telemetry, 'telemetry_spans_total') > 0 && sum(telemetry, 'telemetry_spans') > 0);
  await moved(({ telemetry }) => sum(telemetry, 'telemetry_span_bytes') > 0);
  const now = await scrapeAll();
  for (const [service, samples] of [
    ['registry', now.registry],
    ['pool', now.pool],
  ] as const) {
    expect(sum(samples, 'journal_leading', `service="${service}"`)).toBe(1);
    expect(sum(samples, 'journal_events_total', 'what="takeover"')).toBe(1);
    for (const name of [
      'journal_revision',
      'journal_append_seconds_count',
      'rpc_seconds_count',
      'bus_messages_total',
    ]) {
      expect([name, sum(samples, name) > sum(before[service], name)]).toEqual([name, true]);
    }
  }
  agent.child.kill('SIGTERM');
  await agent.ended;
});

/** Names of our metrics in a query. */
const namesIn = (query: string): string[] =>
  query.match(/\b(journal|rpc|bus|swarm|pool|registry|telemetry)_[a-z_]+/g) ?? [];

function queriesOfDashboards(): [where: string, query: string][] {
  const folder = join(ROOT, 'deploy', 'grafana', 'dashboards');
  return readdirSync(folder).flatMap((file) => {
    const { panels } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as Dashboard;
    return panels.flatMap(({ title, targets = [] }) =>
      targets.map(({ expr }): [string, string] => [`${file}: ${title}`, expr]),
    );
  });
}

interface Dashboard {
  readonly panels: readonly { readonly title: string; readonly targets?: readonly { readonly expr: string }[] }[];
}

function queriesOfAlerts(): [where: string, query: string][] {
  const file = readFileSync(join(ROOT, 'deploy', 'prometheus', 'alerts.yml'), 'utf8');
  const { groups } = parse(file) as { groups: { rules: { alert: string; expr: string }[] }[] };
  return groups.flatMap(({ rules }) => rules.map(({ alert, expr }): [string, string] => [alert, expr]));
}

test('dashboards and alerts ask for nothing that no service tells', async () => {
  const told = new Set(Object.values(await scrapeAll()).flatMap((samples) => samples.map(({ name }) => name)));
  const asked = [...queriesOfDashboards(), ...queriesOfAlerts()];
  expect(asked.length).toBeGreaterThan(40);
  const unknown = asked.flatMap(([where, query]) =>
    namesIn(query).flatMap((name) => (told.has(name) ? [] : [`${where}: ${name}`])),
  );
  expect(unknown).toEqual([]);
  const nothing = asked.filter(([, query]) => namesIn(query).length === 0).map(([where]) => where);
  expect(nothing).toEqual(['HivebusReplicaDown']);
});

test('every panel has an id and a place of its own', () => {
  const folder = join(ROOT, 'deploy', 'grafana', 'dashboards');
  for (const file of readdirSync(folder)) {
    const { panels } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as {
      panels: { id: number; gridPos: { x: number; y: number; w: number } }[];
    };
    const places = panels.map(({ gridPos: { x, y } }) => `${x} ${y}`);
    expect(new Set(places).size).toBe(places.length);
    expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
    expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  }
});
