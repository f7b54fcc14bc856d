import type { Call, RequestId } from '../../libs/protocol/call.ts';
import type { SessionAnswer, SessionCall } from '../../libs/wire/hivebus/pool/v1/session.ts';
import type { PoolApi } from './api.ts';
import { briefly, idOf } from './bulk.ts';
import type { SessionAgent } from './session-agent.ts';
import type { CallKind } from './validation/session.ts';

/** A call of a session that was checked. */
export interface Asked {
  readonly call: SessionCall;
  /** Which request it has. */
  readonly kind: CallKind;
  /** Without a request id. */
  readonly own: Call;
  /** What a repeat is known by. */
  readonly request: RequestId;
}

/** Who answers the calls of a session. */
export interface Answerer {
  readonly api: PoolApi;
  readonly agent: SessionAgent | undefined;
}

type Answering = {
  readonly [K in CallKind]: (
    request: NonNullable<SessionCall[K]>,
    asked: Asked,
    answerer: Answerer,
  ) => Promise<NonNullable<SessionAnswer[K]>>;
};

/**
 * How each call is answered: by the pool's own methods. Request ids go with what a repeat would do twice; the others know
 * themselves again (a task by its id, an attempt by its number), and a journal's answers are kept for those that need it.
 */
const ANSWERING: Answering = {
  confirmAssignment: (request, { own }, { api, agent }) => {
    const logKey = request.logKey || (agent?.logKey ?? '');
    return api.confirmAssignment({ ...request, logKey }, own);
  },
  saveCheckpoint: (request, { own }, { api }) => api.saveCheckpoint(request, own),
  getCheckpoint: (request, { own }, { api }) => api.getCheckpoint(request, own),
  putArtefactPart: (request, { own }, { api }) => api.putArtefactPart(request, own),
  addArtefact: (request, { own }, { api }) => api.addArtefact(request, own),
  getTask: (request, { own }, { api }) => api.getTask(request, own),
  getGroup: (request, { own }, { api }) => api.getGroup(request, own),
  submitGroup: async (given, { own, request }, { api }) => {
    const id = given.id || idOf(request, own.principal, 0, 'group');
    const submitted = await api.submitGroup({ ...given, id, idempotent: true }, own);
    return { ...submitted, created: submitted.created || given.id === '' };
  },
  cancelMigration: (request, { own }, { api }) => api.cancelMigration(request, own),
  reportTask: (request, { own }, { api }) => api.reportTask(request, own),
  submitTask: async (given, { own, request }, { api }) => {
    const id = given.id || idOf(request, own.principal, 0);
    const submitted = briefly(await api.submitTask({ ...given, id, idempotent: true }, own));
    return { ...submitted, created: submitted.created || given.id === '' };
  },
  requestAgent: (given, { own, request }, { api }) => api.requestAgent(given, { request, ...own }),
  renewLease: (request, { own }, { api }) => api.renewLease(request, own),
  releaseLease: (request, { own }, { api }) => api.releaseLease(request, own),
  deregisterAgent: (given, { own, request }, { api, agent }) => {
    agent?.leaves(given);
    return api.deregisterAgent(given, { request, ...own });
  },
};

/** Gives the answer of the call's kind, or rejects with the refusal. */
export function answerCall(answerer: Answerer, asked: Asked): Promise<object> {
  const { call, kind } = asked;
  const answering = ANSWERING[kind] as Answering['reportTask'];
  return answering(call[kind] as NonNullable<SessionCall['reportTask']>, asked, answerer);
}
