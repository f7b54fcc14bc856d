import { Server, ServerCredentials, type sendUnaryData } from '@grpc/grpc-js';
import {
  type RegisterSwarmRequest,
  type RegisterSwarmResponse,
  RegistryServiceService,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { answer } from './children.ts';

/** The floor of grpc.ts: a server that answers a registration with the same words each time. */
const server = new Server();
const response: RegisterSwarmResponse = { created: true, changed: true, swarmRevision: '1', revision: '1' };
const { registerSwarm } = RegistryServiceService;
server.register<RegisterSwarmRequest, RegisterSwarmResponse>(
  registerSwarm.path,
  (_call: unknown, callback: sendUnaryData<RegisterSwarmResponse>) => callback(null, response),
  registerSwarm.responseSerialize,
  registerSwarm.requestDeserialize,
  'unary',
);
const port = await new Promise<number>((resolve, reject) => {
  server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
    error ? reject(error) : resolve(bound),
  );
});

answer(
  async () => ({ port }),
  async () => server.forceShutdown(),
);
