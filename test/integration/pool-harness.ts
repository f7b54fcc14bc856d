import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import type { JournalSettings } from '../../libs/journal/settings.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import { serveBus } from '../../libs/rpc/bus-server.ts';
import { connect } from '../../libs/sdk/connect.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { createSwarm, type Swarm } from '../../libs/sdk/swarm.ts';
import type { TaskHandler } from '../../libs/sdk/task.ts';
import { Closing } from '../../libs/service/closing.ts';
import type { Service } from '../../libs/service/run-service.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { createRegistry } from '../../services/registry/service.ts';
import type { PoolSettings } from '../../services/resource-pool/core/settings.ts';
import { createResourcePool } from '../../services/resource-pool/service.ts';

/** What tests of the pool over the bus share: a registry, a pool and a nats-server, for one test file each. */

/** Set by `openPool`. */
export let server: NatsServer;
export let home: string;
export let hive: Hive;
const all = new Closing();
export const firstReplica = new Closing();

export const bus = async (closing: Closing, name: string) => {
  const nc = await connectBus({ servers: server.url, name });
  closing.use({ [Symbol.asyncDispose]: () => nc.close() });
  return nc;
};

/** Quick to judge, so that tests are quick; with 250 ms between beats a silence of a second is dead. */
export const QUICK = {
  pool: { heartbeatMs: 250, confirmMs: 1000, cancelGraceMs: 500, claimMs: 3000 },
  phi: { acceptablePauseMs: 300, minStdDeviationMs: 100 },
  sampleMs: 50,
  probeBusyMs: 100,
  settleMs: 100,
  sweepMs: 200,
};

export async function servePool(
  closing: Closing,
  settings: Partial<PoolSettings> = {},
  journal: Partial<JournalSettings> = {},
): Promise<Service> {
  const [nc, announcer] = [await bus(closing, 'pool'), await bus(closing, 'pool-announcer')];
  const quick = { ...QUICK, journal, pool: { ...QUICK.pool, ...settings } };
  const pool = closing.use(createResourcePool(quick, { nc, announcer, operatorKey: () => undefined }));
  await pool.ready();
  const { binding, authenticate } = pool;
  closing.use(await serveBus({ nc, bindings: [binding], authenticate, version: '1.0.0' }));
  return pool;
}

export const openPool = (): Promise<Service> => openPoolWith({});

/** Gives the first replica, which leads. */
export async function openPoolWith(
  settings: Partial<PoolSettings>,
  journal: Partial<JournalSettings> = {},
): Promise<Service> {
  server = all.use(await startNatsServer());
  home = await mkdtemp(join(tmpdir(), 'hivebus-pool-'));
  all.use({ [Symbol.asyncDispose]: () => rm(home, { recursive: true, force: true }) });
  const [nc, announcer] = [await bus(all, 'registry'), await bus(all, 'registry-announcer')];
  const registry = all.use(createRegistry({}, { nc, announcer, operatorKey: () => undefined }));
  await registry.ready();
  const { binding, authenticate } = registry;
  all.use(await serveBus({ nc, bindings: [binding], authenticate, version: '1.0.0' }));
  all.use(firstReplica);
  const pool = await servePool(firstReplica, settings, journal);
  hive = all.use(await connect({ servers: server.url, home, env: {} }));
  return pool;
}

export const closePool = (): Promise<void> => all[Symbol.asyncDispose]();

/**
 * For tests with real agents. On a starved machine these seem to be lost now and then, since here a second of silence is
 * much; nothing may rest on that.
 */
export const PATIENT = { maxAttempts: 100 };
export const PATIENCE_MS = 90_000;

/** What is closed when the test is over. */
export function closing(): Closing {
  const all = new Closing();
  onTestFinished(() => all[Symbol.asyncDispose]());
  return all;
}

/** A swarm of its own for each test, so that tests share a pool without meeting. */
export async function swarm(closing: Closing): Promise<Swarm> {
  return closing.use(await createSwarm({ hive, name: `s-${randomId(8)}` }));
}

export const work: TaskHandler = async (task) => ({ done: task.payload });

export const task = async (id: string): Promise<Task> => {
  const { task: found } = await hive.pool.getTask({ id, linearizable: true });
  if (!found) throw new Error('the answer has no task');
  return found;
};
export const inState = (id: string, state: string, patienceMs?: number) =>
  until(async () => {
    const now = await task(id);
    return now.state === `TASK_STATE_${state}` ? now : undefined;
  }, patienceMs);
