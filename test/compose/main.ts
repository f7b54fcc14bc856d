// Brings up what docker-compose.yml says, works through it from a client on the host, breaks it, and finds nothing lost;
// then the cluster. Takes everything down again. Without an engine or images it says "skipped", and why.
//   node dist/test/compose/main.js [single|cluster|prepare]
// `prepare` gets images and builds ours, no more: what a run would spend minutes on.
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../libs/testkit/until.ts';
import {
  busForgets,
  busIsGuarded,
  grafanaAnswers,
  operatorAnalyses,
  prometheusScrapes,
  runsWithoutRoot,
  spansArrive,
} from './checks.ts';
import { clusterImage } from './cluster-image.ts';
import { findEngine, findImages } from './engine.ts';
import { HostClient, SWARM } from './host-client.ts';
import { Load } from './load.ts';
import { Stack } from './stack.ts';

const BUILD_MS = 420_000;
const DOWN_MS = 60_000;
/** Of Dockerfile, which compose does not list. */
const BASE_IMAGE = 'node:24-bookworm-slim';

const FILES = {
  single: ['docker-compose.yml'],
  cluster: ['docker-compose.yml', 'docker-compose.cluster.yml'],
} as const;
type Kind = keyof typeof FILES;

const stopping = new AbortController();
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort(new Error(signal)));

const asked = process.argv.slice(2);
const known = Object.keys(FILES) as Kind[];
const kinds = known.filter((kind) => asked.length === 0 || asked.includes(kind));
const unknown = asked.filter((word) => word !== 'prepare' && !known.some((kind) => kind === word));
if (unknown.length > 0) {
  console.error(`test:compose: ${unknown} is not known; known: ${known.join(', ')}, prepare`);
  process.exit(2);
}
try {
  const skipped = await testCompose(kinds);
  if (skipped) console.log(`test:compose skipped: ${skipped}`);
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}

async function testCompose(wanted: readonly Kind[]): Promise<string | undefined> {
  const engine = await findEngine();
  if (typeof engine === 'string') return engine;
  await using _engine = engine;
  const { signal } = stopping;
  const stackOf = (kind: Kind, natsImage?: string) =>
    Stack.of({ engine, name: `hivebus-test-${kind}-${process.pid}`, files: FILES[kind], natsImage, signal });
  const first = await stackOf('single');
  const missing = await findImages(engine, [BASE_IMAGE, ...(await first.images())]);
  if (missing) return missing;
  await step('the image is built', () => first.compose(['build', '-q'], BUILD_MS));
  for (const kind of wanted) {
    const nats = kind === 'cluster' ? await clusterImage(engine) : { image: undefined };
    if ('missing' in nats) console.log(`cluster skipped: ${nats.missing}`);
    else await testStack(await stackOf(kind, nats.image), kind);
  }
  return undefined;
}

async function testStack(stack: Stack, kind: Kind): Promise<void> {
  const home = mkdtempSync(join(tmpdir(), 'hivebus-compose-'));
  console.log(`${kind}:`);
  try {
    await step('everything is up and healthy', () => stack.up());
    const [registry, pool] = [stack.address('REGISTRY'), stack.address('POOL')];
    await using client = await HostClient.connect({ registry, pool, home, signal: stopping.signal });
    const load = new Load(client);
    await step('a client on the host has its own key, borrows an agent and gets results', () => load.goesOn());
    await (kind === 'single' ? breakSingle(stack, client, load) : breakCluster(stack, load));
    const { tasks, again } = await step('what was accepted is done, once each', () => load.settle());
    assert.deepEqual((await client.swarms()).sort(), [SWARM, 'ops', 'quality']);
    console.log(`        ${tasks} tasks, ${again} of them with more than one attempt`);
  } catch (error) {
    console.log(await stack.logs().catch(() => 'no logs'));
    throw error;
  } finally {
    rmSync(home, { recursive: true, force: true });
    await step('everything is taken down', () => stack[Symbol.asyncDispose]());
  }
}

async function breakSingle(stack: Stack, client: HostClient, load: Load): Promise<void> {
  await step('the bus refuses strangers and syncs each write', () => busIsGuarded(stack));
  await step('nothing of ours runs as root', () => runsWithoutRoot(stack));
  await step('the command line in a container, an analysis', () => operatorAnalyses(stack));
  await step('spans arrive, metrics are scraped, Grafana answers', async () => {
    await spansArrive(stack);
    await prometheusScrapes(stack, 3);
    await grafanaAnswers(stack);
  });
  for (const service of ['resource-pool', 'registry', 'nats', 'shell']) {
    await step(`${service} is killed and comes back`, async () => {
      await stack.crash(service);
      await load.goesOn();
    });
  }
  await step('resource-pool and registry end in order by SIGTERM, and start again', async () => {
    for (const service of ['resource-pool', 'registry']) assert.equal(await stack.stop(service), 0, service);
    await stack.compose(['start', 'registry', 'resource-pool']);
    await load.goesOn();
  });
  await step('an agent at work is cut off, noticed, and back', async () => {
    await stack.cutOff('shell');
    await until(async () => (await client.agent('ops/shell-1'))?.state === 'AGENT_STATE_UNREACHABLE', DOWN_MS);
    await stack.reconnect('shell');
    await load.goesOn();
  });
  await step('resource-pool is cut off until the bus has forgotten it, and back', async () => {
    await stack.cutOff('resource-pool');
    await busForgets(stack, 'hivebus-resource-pool');
    await stack.reconnect('resource-pool');
    await load.goesOn();
  });
}

/** One of each kind at a time: what is left must go on by itself. */
async function breakCluster(stack: Stack, load: Load): Promise<void> {
  await step('metrics of all replicas are scraped', () => prometheusScrapes(stack, 5));
  for (const service of ['nats-2', 'resource-pool', 'registry', 'nats']) {
    await step(`${service} is killed and comes back`, async () => {
      await stack.crash(service);
      await load.goesOn();
    });
  }
  for (const service of ['nats-3', 'resource-pool-2', 'shell-2']) {
    await step(`without ${service}, which is cut off, work goes on; then it is back`, async () => {
      await stack.cutOff(service);
      await load.goesOn();
      await stack.reconnect(service);
      await load.goesOn();
    });
  }
}

async function step<T>(what: string, work: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const seconds = () => `${((performance.now() - startedAt) / 1000).toFixed(1)} s`.padStart(7);
  try {
    const result = await work();
    console.log(`ok ${seconds()}  ${what}`);
    return result;
  } catch (error) {
    console.log(`FAILED ${seconds()}  ${what}: ${(error as Error).message}`);
    throw error;
  }
}
