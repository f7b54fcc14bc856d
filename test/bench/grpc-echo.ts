import { Server, ServerCredentials, type ServerDuplexStream, type sendUnaryData } from '@grpc/grpc-js';
import type { Lease, RequestAgentResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import {
  PoolSessionServiceService,
  type SessionRequest,
  type SessionResponse,
} from '../../libs/wire/hivebus/pool/v1/session.ts';
import {
  type RegisterSwarmRequest,
  type RegisterSwarmResponse,
  RegistryServiceService,
} from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { answer } from './children.ts';

/** A lease such as the pool answers. */
const LEASE: Lease = {
  ...{ id: 'lease-0123456789ab', agent: 'lender/a-100', lender: 'lender', borrower: 'borrower', termMs: 60_000 },
  ...{ state: 'LEASE_STATE_ACTIVE', grantedAt: '2026-11-21T12:00:00.000Z', expiresAt: '2026-11-21T12:01:00.000Z' },
  ...{ endedAt: undefined, reason: '', revision: '1', task: '' },
};

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

/** The floor of sessions.ts: a stream that answers each call at once, as many in a message as came in one. */
const { session } = PoolSessionServiceService;
const requestAgent: RequestAgentResponse = { lease: LEASE, revision: '1', request: '' };
server.register<SessionRequest, SessionResponse>(
  session.path,
  (call: ServerDuplexStream<SessionRequest, SessionResponse>) => {
    call.on('data', ({ open, calls }: SessionRequest) => {
      const opened = open && { heartbeatMs: 0, window: open.window, agent: undefined };
      const answers = calls.map(({ number }) => ({ number, requestAgent }));
      call.write({ opened, answers, assignments: [], inventory: undefined });
    });
    call.on('end', () => call.end());
  },
  session.responseSerialize,
  session.requestDeserialize,
  'bidi',
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
