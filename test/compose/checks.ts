import assert from 'node:assert/strict';
import { connectBus } from '../../libs/bus/connect.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Stack } from './stack.ts';

const PATIENCE_MS = 60_000;

const json = async (url: string): Promise<unknown> => (await fetch(url)).json();

/** Prometheus reaches the metrics of every replica. */
export async function prometheusScrapes(stack: Stack, replicas: number): Promise<void> {
  const url = `http://${stack.address('PROMETHEUS')}/api/v1/targets?state=active`;
  await until(async () => {
    const { data } = (await json(url)) as { data: { activeTargets: { scrapeUrl: string; health: string }[] } };
    const up = data.activeTargets.filter(({ scrapeUrl, health }) => scrapeUrl.includes(':9464/') && health === 'up');
    return up.length >= replicas;
  }, PATIENCE_MS);
}

/** Spans reach the viewer. A stand-in of it only counts what is sent to it. */
export async function spansArrive(stack: Stack): Promise<void> {
  const address = `http://${stack.address('JAEGER')}`;
  await until(async () => {
    const answer = (await json(`${address}/api/services`)) as { stub?: boolean; posts?: number; data?: string[] };
    if (answer.stub) return (answer.posts ?? 0) > 0;
    return ['hivebus-registry', 'hivebus-resource-pool'].every((name) => answer.data?.includes(name));
  }, PATIENCE_MS);
}

export async function grafanaAnswers(stack: Stack): Promise<void> {
  await until(async () => (await fetch(`http://${stack.address('GRAFANA')}/api/health`)).ok, PATIENCE_MS);
}

/** The bus lets in nobody without a key, and syncs each write, which a server that does not know the setting ignores. */
export async function busIsGuarded(stack: Stack): Promise<void> {
  const error = await connectBus({ servers: `nats://${stack.address('NATS')}`, name: 'stranger' }).then(
    () => undefined,
    (cause: unknown) => cause,
  );
  assert(error instanceof HiveError && error.reason === 'BUS_REFUSED', `a stranger was let in: ${error}`);
  const jsz = (await json(`http://${stack.address('NATS_HTTP')}/jsz`)) as { config?: { sync_always?: boolean } };
  assert.equal(jsz.config?.sync_always, true);
}

/** The server has given up the connections of that name, which has said nothing to end them. */
export async function busForgets(stack: Stack, name: string): Promise<void> {
  await until(async () => {
    const connz = (await json(`http://${stack.address('NATS_HTTP')}/connz`)) as { connections: { name: string }[] };
    return !connz.connections.some((connection) => connection.name.startsWith(name));
  }, PATIENCE_MS);
}

/** Containers of ours run as an ordinary user. */
export async function runsWithoutRoot(stack: Stack): Promise<void> {
  for (const service of ['registry', 'resource-pool', 'shell', 'analyser']) {
    assert.notEqual(await stack.compose(['exec', '-T', service, 'id', '-u']), '0', service);
  }
}

/** The command line in a container of its own, as the operator whose key is there. */
export async function operatorAnalyses(stack: Stack): Promise<void> {
  const payload = JSON.stringify({ repo: '/workspace', file: 'package.json' });
  const submit = ['task', 'submit', '--swarm', 'quality', '--type', 'analyser', '--payload', payload, '--wait'];
  const said = await stack.compose(['run', '--rm', '-T', 'hivebus', ...submit, '-o', 'json']);
  const task = JSON.parse(said) as { state: string; result: { file: string } };
  assert.deepEqual([task.state, task.result.file], ['TASK_STATE_SUCCEEDED', 'package.json']);
}
