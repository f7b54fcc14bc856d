import { credentials } from '@grpc/grpc-js';
import { connectBus } from '../../libs/bus/connect.ts';
import { tokenSource } from '../../libs/protocol/token.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { requestSchema } from '../../libs/rpc/schema.ts';
import { operatorKeyFile, readOrCreateKey } from '../../libs/sdk/keys.ts';
import { openPoolSession, type PoolSession } from '../../libs/sdk/pool-session.ts';
import { ResourcePoolServiceService } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { type RegisterSwarmRequest, RegistryServiceClient } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { startChild } from './children.ts';
import { freePort } from './free-port.ts';
import { inTurns, measure, ms, perSecond, type Rate, type Row, rateOf, type Turns, times, WARM_UP } from './harness.ts';
import { idleAgents, WISH } from './idle-agents.ts';
import { barePublisher } from './journal.ts';
import { registration } from './registrations.ts';
import { OPERATOR, type Stage, setStage } from './stage.ts';

const CALLS = 20_000;
const ECHOES = 4000;
const ROUNDS = 5;
const ONE_BY_ONE = 500;

/**
 * RequestAgent and ReleaseLease in turns, each a durable command, over a session: against unary calls that are only echoed,
 * and against a session that only echoes. Registry, pool and echo in processes of their own.
 */
export async function sessionRows(): Promise<Row[]> {
  await using stage = await setStage();
  await stage.start('registry').says('is serving');
  const port = await freePort();
  await stage.start('resource-pool', { HIVEBUS_GRPC_PORT: String(port) }).says('is serving');
  using _agents = await idleAgents(await stage.connect());
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
  const rows: Row[] = [await unaryRow(stage, `127.0.0.1:${port}`, token, echoed)];
  const open = (at: number, window: number) => openPoolSession({ addresses: [`127.0.0.1:${at}`], token, window });
  for (const inFlight of [64, 512]) {
    await using pool = open(port, inFlight);
    await using floor = open(echoPort, inFlight);
    const borrow = borrowing(pool);
    const runs = {
      unary: () => measure(inFlight, ECHOES, echoed),
      echo: () => measure(inFlight, CALLS, () => floor.call('requestAgent', WISH)),
      pool: () => measure(inFlight, CALLS, borrow),
    };
    await measure(inFlight, WARM_UP, () => floor.call('requestAgent', WISH));
    await measure(inFlight, WARM_UP, borrow);
    const rates = await inTurns(ROUNDS, runs);
    rows.push(...(inFlight === 64 ? [rateRow(rates)] : [latencyRow(rates), rateRow512(rates)]));
  }
  unary.close();
  return rows;
}

/** One after the other by unary calls, against a bare echo and a bare publish, which are the least that it could be. */
async function unaryRow(
  { nats }: Stage,
  address: string,
  token: () => string,
  echoed: (i: number) => Promise<void>,
): Promise<Row> {
  await using pool = createGrpcClient(address, ResourcePoolServiceService, { token });
  const nc = await connectBus({ servers: nats.url, name: 'floor' });
  const publish = await barePublisher(nc);
  const giveBack = ({ lease }: { lease?: { id: string } | undefined }) => pool.releaseLease({ lease: lease?.id ?? '' });
  const borrowed = async (): Promise<Rate> => {
    const latencies = new Float64Array(ONE_BY_ONE);
    const beganAt = performance.now();
    for (let i = 0; i < ONE_BY_ONE; i++) {
      const askedAt = performance.now();
      const answer = await pool.requestAgent(WISH);
      latencies[i] = performance.now() - askedAt;
      await giveBack(answer);
    }
    return rateOf(latencies, performance.now() - beganAt);
  };
  const runs = {
    echo: () => measure(1, ONE_BY_ONE, echoed),
    publish: () => measure(1, ONE_BY_ONE, publish),
    pool: borrowed,
  };
  for (const once of [echoed, publish]) await measure(64, WARM_UP, once);
  await measure(64, WARM_UP / 2, async () => giveBack(await pool.requestAgent(WISH)));
  const rates = await inTurns(ROUNDS, runs);
  await nc.close();
  const [echo, published, asked] = (['echo', 'publish', 'pool'] as const).map((name) => rates.median(name, 'p50Ms'));
  const floor = (echo as number) + (published as number);
  const ratio = (asked as number) / floor;
  return {
    what: 'RequestAgent over unary gRPC, durable, not synced, 1 in flight, p50',
    floor: `bare echo + bare publish ${ms(floor)}`,
    measured: ms(asked as number),
    ratio: times(ratio),
    target: 'at most 1.5x',
    ok: ratio <= 1.5,
  };
}

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
