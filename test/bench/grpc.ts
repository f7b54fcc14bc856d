import { credentials } from '@grpc/grpc-js';
import { tokenSource } from '../../libs/protocol/token.ts';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { requestSchema } from '../../libs/rpc/schema.ts';
import { operatorKeyFile, readOrCreateKey } from '../../libs/sdk/keys.ts';
import {
  type RegisterSwarmRequest,
  RegistryServiceClient,
  RegistryServiceService,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { startChild } from './children.ts';
import { freePort } from './free-port.ts';
import { inTurns, measure, ms, perSecond, type Row, type Turns, times } from './harness.ts';
import { registration } from './registrations.ts';
import { OPERATOR, setStage } from './stage.ts';

const IN_FLIGHT = 64;

/** Unary registrations, durable, against a bare echo of the same messages; both servers in a process of their own. */
export async function grpcRows(): Promise<Row[]> {
  await using stage = await setStage();
  const port = await freePort();
  await stage.start('registry', { HIVEBUS_GRPC_PORT: String(port) }).says('is serving');
  const key = await readOrCreateKey(operatorKeyFile(stage.home, OPERATOR));
  const token = tokenSource(key, { kind: 'operator', name: OPERATOR }, 'main', Date.now);
  await using registry = createGrpcClient(`127.0.0.1:${port}`, RegistryServiceService, { token });
  let count = 0;
  const register = () => registry.registerSwarm(registration(count++));

  await using server = await startChild('grpc-echo');
  const { port: echoPort } = await server.ask<{ port: number }>({});
  const bare = new RegistryServiceClient(`127.0.0.1:${echoPort}`, credentials.createInsecure());
  const schema = requestSchema('hivebus.registry.v1.RegisterSwarmRequest');
  const echo = () =>
    new Promise<void>((resolve, reject) => {
      const request = schema.check(registration(count++)) as RegisterSwarmRequest;
      bare.registerSwarm(request, (error) => (error ? reject(error) : resolve()));
    });

  const rows: Row[] = [];
  for (const inFlight of [1, IN_FLIGHT]) {
    const size = inFlight === 1 ? 500 : 5000;
    await measure(inFlight, size, register);
    await measure(inFlight, size, echo);
    const rates = await inTurns(3, {
      echo: () => measure(inFlight, size, echo),
      registry: () => measure(inFlight, size, register),
    });
    rows.push(inFlight === 1 ? latencyRow(rates) : rateRow(rates));
  }
  bare.close();
  return rows;
}

type Rates = Turns<'echo' | 'registry'>;
const WHAT = 'registration over unary gRPC, not synced';

const latencyRow = (rates: Rates): Row => ({
  what: `${WHAT}, 1 in flight, p50`,
  floor: `bare echo ${ms(rates.median('echo', 'p50Ms'))}`,
  measured: ms(rates.median('registry', 'p50Ms')),
  ratio: times(rates.ratio('registry', 'echo', 'p50Ms')),
  target: '',
  ok: undefined,
});

const rateRow = (rates: Rates): Row => ({
  what: `${WHAT}, ${IN_FLIGHT} in flight`,
  floor: `bare echo ${perSecond(rates.median('echo', 'perSecond'))}`,
  measured: perSecond(rates.median('registry', 'perSecond')),
  ratio: times(rates.ratio('registry', 'echo', 'perSecond')),
  target: '',
  ok: undefined,
});
