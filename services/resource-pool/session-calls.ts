import type { Call, RequestId } from '../../libs/protocol/call.ts';
import type { SessionAnswer, SessionCall } from '../../libs/wire/hivebus/pool/v1/session.ts';
import type { PoolApi } from './api.ts';
import { briefly, idOf } from './bulk.ts';
import type { SessionAgent } from './session-agent.ts';
import { CALLS } from './validation/session.ts';

/** A call of a session that was checked: it has exactly one request. */
export interface Asked {
  readonly call: SessionCall;
  /** Without a request id. */
  readonly own: Call;
  /** What a repeat is known by. */
  readonly request: RequestId;
}

type Kind = (typeof CALLS)[number];
type Answer = Partial<Omit<SessionAnswer, 'number'>>;
type Answering = {
  readonly [K in Kind]: (
    request: NonNullable<SessionCall[K]>,
    asked: Asked,
    deps: { readonly api: PoolApi; readonly agent: SessionAgent | undefined },
  ) => Promise<Answer>;
};

/**
 * How each call is answered: by the pool's own methods. Request ids go with what a repeat would do twice; the others know
 * themselves again (a task by its id, an attempt by its number), and a journal's answers are kept for those that need it.
 */
const ANSWERING: Answering = {
  confirmAssignment: async (request, { own }, { api, agent }) => {
    const logKey = request.logKey || (agent?.logKey ?? '');
    return { confirmAssignment: await api.confirmAssignment({ ...request, logKey }, own) };
  },
  saveCheckpoint: async (request, { own }, { api }) => ({ saveCheckpoint: await api.saveCheckpoint(request, own) }),
  getCheckpoint: async (request, { own }, { api }) => ({ getCheckpoint: await api.getCheckpoint(request, own) }),
  putArtefactPart: async (request, { own }, { api }) => ({ putArtefactPart: await api.putArtefactPart(request, own) }),
  addArtefact: async (request, { own }, { api }) => ({ addArtefact: await api.addArtefact(request, own) }),
  getTask: async (request, { own }, { api }) => ({ getTask: await api.getTask(request, own) }),
  getGroup: async (request, { own }, { api }) => ({ getGroup: await api.getGroup(request, own) }),
  submitGroup: async (given, { own, request }, { api }) => {
    const id = given.id || idOf(request, own.principal, 0, 'group');
    const submitted = await api.submitGroup({ ...given, id, idempotent: true }, own);
    return { submitGroup: { ...submitted, created: submitted.created || given.id === '' } };
  },
  cancelMigration: async (request, { own }, { api }) => ({ cancelMigration: await api.cancelMigration(request, own) }),
  reportTask: async (request, { own }, { api }) => ({ reportTask: await api.reportTask(request, own) }),
  submitTask: async (given, { own, request }, { api }) => {
    const id = given.id || idOf(request, own.principal, 0);
    const submitted = briefly(await api.submitTask({ ...given, id, idempotent: true }, own));
    return { submitTask: { ...submitted, created: submitted.created || given.id === '' } };
  },
  requestAgent: async (given, { own, request }, { api }) => ({
    requestAgent: await api.requestAgent(given, { request, ...own }),
  }),
  renewLease: async (request, { own }, { api }) => ({ renewLease: await api.renewLease(request, own) }),
  releaseLease: async (request, { own }, { api }) => ({ releaseLease: await api.releaseLease(request, own) }),
  deregisterAgent: async (given, { own, request }, { api, agent }) => {
    agent?.leaves(given);
    return { deregisterAgent: await api.deregisterAgent(given, { request, ...own }) };
  },
};

/** Which request a checked call has. */
export const kindOf = (call: SessionCall): Kind => CALLS.find((name) => call[name] !== undefined) as Kind;

export function answerCall(api: PoolApi, asked: Asked, agent: SessionAgent | undefined): Promise<Answer> {
  const kind = kindOf(asked.call);
  const answering = ANSWERING[kind] as Answering['reportTask'];
  return answering(asked.call[kind] as NonNullable<SessionCall['reportTask']>, asked, { api, agent });
}
