import { credentials } from '@grpc/grpc-js';
import { systemClock } from '../../libs/kernel/clock.ts';
import { heartbeatSubject } from '../../libs/protocol/subjects.ts';
import { tokenSource } from '../../libs/protocol/token.ts';
import { requestSchema } from '../../libs/rpc/schema.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { operatorKeyFile, readOrCreateKey } from '../../libs/sdk/keys.ts';
import { openPoolSession, type PoolSession } from '../../libs/sdk/pool-session.ts';
import { type RegisterSwarmRequest, RegistryServiceClient } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { startChild } from './children.ts';
import { freePort } from './free-port.ts';
import { inTurns, measure, ms, perSecond, type Row, type Turns, times } from './harness.ts';
import { registration } from './registrations.ts';
import { OPERATOR, setStage } from './stage.ts';

const LENDER = 'lender';
const BORROWER = 'borrower';
const TYPE = 'worker';
/** More than there are calls in flight, so that none finds no agent free. */
const AGENTS = 640;
const BEAT_MS = 1000;
/** Heartbeats at a time. */
const AT_ONCE = 10;
const CALLS = 20_000;
const ECHOES = 4000;
const ROUNDS = 3;

/**
 * RequestAgent and ReleaseLease in turns, each a durable command, over a session: against unary calls that are only echoed,
 * and against a session that only echoes. Registry, pool and echo in processes of their own.
 */
export async function sessionRows(): Promise<Row[]> {
  await using stage = await setStage();
  await stage.start('registry').says('is serving');
  const port = await freePort();
  await stage.start('resource-pool', { HIVEBUS_GRPC_PORT: String(port) }).says('is serving');
  using _agents = await agents(await stage.connect());
  const key = await readOrCreateKey(operatorKeyFile(stage.home, OPERATOR));
  const token = tokenSource(key, { kind: 'operator', name: OPERATOR }, 'main', Date.now);
  await using echo = await startChild('grpc-echo');
  const { port: echoPort } = await echo.ask<{ port: number }>({});
  const unary = new RegistryServiceClient(`127.0.0.1:${echoPort}`, credentials.createInsecure());
  const schema = requestSchema('hivebus.registry.v1.RegisterSwarmRequest');
  const echoed = (i: number) =>
    new Promise<void>((resolve, reject) => {
      const request = schema.check(registration(i)) as RegisterSwarmRequest;
      unary.registerSwarm(request, (error) => (error ? reject(error) : resolve()));
    });
  const open = (at: number, window: number) => openPoolSession({ addresses: [`127.0.0.1:${at}`], token, window });
  const rows: Row[] = [];
  for (const inFlight of [64, 512]) {
    await using pool = open(port, inFlight);
    await using floor = open(echoPort, inFlight);
    const borrow = borrowing(pool);
    const runs = {
      unary: () => measure(inFlight, ECHOES, echoed),
      echo: () => measure(inFlight, CALLS, () => floor.call('requestAgent', WISH)),
      pool: () => measure(inFlight, CALLS, borrow),
    };
    for (const run of Object.values(runs)) await run();
    const rates = await inTurns(ROUNDS, runs);
    rows.push(...(inFlight === 64 ? [rateRow(rates)] : [latencyRow(rates), rateRow512(rates)]));
  }
  unary.close();
  return rows;
}

const WISH = { swarm: BORROWER, type: TYPE, lender: LENDER, capabilities: [] };

/** Calls that give back what was borrowed, when there is something, else borrow. Fails when one is refused. */
function borrowing(session: PoolSession): () => Promise<unknown> {
  const leases: string[] = [];
  return async () => {
    const lease = leases.shift();
    if (lease) return session.call('releaseLease', { lease });
    const answer = await session.call('requestAgent', WISH);
    leases.push(answer.lease?.id ?? '');
  };
}

/** Agents that do nothing but live, on one connection. */
async function agents(hive: Hive): Promise<Disposable> {
  for (const name of [LENDER, BORROWER]) await hive.registry.registerSwarm({ name });
  const names = Array.from({ length: AGENTS }, (_, i) => `a-${i}`);
  hive.nc.subscribe(`_HIVE.main.agent.${LENDER}.>`, { callback: (_, message) => void message.respond() });
  const register = (name: string) =>
    hive.pool.registerAgent({ swarm: LENDER, name, type: TYPE, instance: 'i1', slots: 1 });
  await measure(64, AGENTS, (i) => register(names[i] as string));
  let isOver = false;
  // As agents do that were not started at once: a few at a time.
  const beat = (from: number) => {
    if (isOver || hive.nc.isClosed()) return;
    for (const agent of names.slice(from, from + AT_ONCE)) {
      const data = { swarm: LENDER, agent, instance: 'i1', busy: 0 };
      hive.publish(heartbeatSubject('main', LENDER, agent), 'hivebus.pool.v1.AgentHeartbeat', data);
    }
    systemClock.after((BEAT_MS * AT_ONCE) / AGENTS, () => beat((from + AT_ONCE) % AGENTS));
  };
  beat(0);
  return {
    [Symbol.dispose]: () => {
      isOver = true;
    },
  };
}

type Rates = Turns<'unary' | 'echo' | 'pool'>;
const WHAT = 'RequestAgent and ReleaseLease over a session, durable, not synced';

const rateRow = (rates: Rates): Row => {
  const ratio = rates.ratio('pool', 'unary', 'perSecond');
  return {
    what: `${WHAT}, 64 in flight`,
    floor: `bare unary echo ${perSecond(rates.median('unary', 'perSecond'))}`,
    measured: `${perSecond(rates.median('pool', 'perSecond'))} (p50 ${ms(rates.median('pool', 'p50Ms'))})`,
    ratio: times(ratio),
    target: 'at least 5x',
    ok: ratio >= 5,
  };
};

const latencyRow = (rates: Rates): Row => {
  const ratio = rates.ratio('pool', 'echo', 'p99Ms');
  return {
    what: `${WHAT}, 512 in flight, p99; no errors`,
    floor: `bare echo of the same session ${ms(rates.median('echo', 'p99Ms'))}`,
    measured: ms(rates.median('pool', 'p99Ms')),
    ratio: times(ratio),
    target: 'at most 2x',
    ok: ratio <= 2,
  };
};

const rateRow512 = (rates: Rates): Row => ({
  what: `${WHAT}, 512 in flight`,
  floor: `bare echo of the same session ${perSecond(rates.median('echo', 'perSecond'))}`,
  measured: perSecond(rates.median('pool', 'perSecond')),
  ratio: times(rates.ratio('pool', 'echo', 'perSecond')),
  target: '',
  ok: undefined,
});
