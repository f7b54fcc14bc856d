import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/nats-core';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import { encodeHeaders } from '../../libs/protocol/envelope.ts';
import { heartbeatSubject, rpcSubject } from '../../libs/protocol/subjects.ts';
import { type Subject, signToken } from '../../libs/protocol/token.ts';
import { readOrCreateKey, swarmKeyFile } from '../../libs/sdk/keys.ts';
import { until } from '../../libs/testkit/until.ts';
import { startChild } from './children.ts';
import { measure, type Row } from './harness.ts';
import { setStage } from './stage.ts';

const AGENTS = 10_000;
const WARM_UP = 500;
const MOST_BYTES = 1024;
const SWARM = 'crowd';

/**
 * What registered agents add to the heap of registry and pool: first their rows and failure detectors, which is what
 * the promise is about, then what is remembered of callers, whose number is bounded: verified tokens and answers.
 */
export async function agentsHeapRows(): Promise<Row[]> {
  await using stage = await setStage();
  const { url } = stage.nats;
  const execArgv = ['--expose-gc'];
  await using service = await startChild('agents-heap-service', [url, join(stage.home, 'operators')], { execArgv });
  const operator = await stage.connect();
  const { nc, registry } = await operator.as({ kind: 'swarm', swarm: SWARM });
  await registry.registerSwarm({ name: SWARM });

  const key = await readOrCreateKey(swarmKeyFile(stage.home, 'main', SWARM));
  const bearer = (subject: Subject) => `Bearer ${signToken(key, { subject, federation: 'main', nowMs: Date.now() })}`;
  const queen = { authorization: bearer({ kind: 'swarm', swarm: SWARM }) };
  const own = (i: number) => ({
    authorization: bearer({ kind: 'agent', swarm: SWARM, name: `a${i}` }),
    'hive-request-id': `a${i}-${randomId()}:1`,
  });
  const heap = async () => (await service.ask<{ bytes: number }>({})).bytes;

  await until(() => register(nc, 0, queen).catch(() => false), 20_000); // the pool hears of the swarm a moment later
  await measure(32, WARM_UP, (i) => register(nc, i, queen));
  const before = await heap();
  await measure(32, AGENTS, (i) => register(nc, WARM_UP + i, queen));
  const registered = await heap();
  const { total } = await operator.pool.listAgents({ pageSize: 1 });
  if (total !== WARM_UP + AGENTS) throw new Error(`${total} agents are registered, not ${WARM_UP + AGENTS}`);
  await measure(32, AGENTS, (i) => register(nc, WARM_UP + i, own(WARM_UP + i)));
  const called = await heap();

  const each = (bytes: number) => `${(bytes / AGENTS).toFixed(0)} B for each`;
  const what = `${AGENTS.toLocaleString('en')} registered agents: heap of registry and pool`;
  const ok = registered - before <= MOST_BYTES * AGENTS;
  const row = {
    what,
    floor: '',
    measured: each(registered - before),
    ratio: '',
    target: `at most ${MOST_BYTES} B`,
    ok,
  };
  const caches = `the same, with what is remembered of callers with tokens and request ids of their own`;
  return [row, { ...row, what: caches, measured: each(called - before), target: '', ok: undefined }];
}

/** Registers an agent, again if need be, and beats once. */
async function register(nc: NatsConnection, i: number, record: Record<string, string>): Promise<true> {
  const name = `a${i}`;
  const instance = `i${i}`;
  const headers = rawHeaders(encodeHeaders(record));
  const agent = {
    swarm: SWARM,
    name,
    type: 'analyser',
    capabilities: ['typescript'],
    slots: 2,
    instance,
    region: 'lab',
  };
  const body = Buffer.from(JSON.stringify(agent));
  const reply = await nc.request(rpcSubject('main', 'pool', 'RegisterAgent'), body, { headers, timeout: 10_000 });
  const refused = reply.headers?.get('Nats-Service-Error');
  if (refused) throw new Error(refused);
  const beat = Buffer.from(JSON.stringify({ swarm: SWARM, agent: name, instance, busy: 0 }));
  nc.publish(heartbeatSubject('main', SWARM, name), beat, { headers });
  return true;
}
