import type { Journal, QueryOptions } from '../../libs/journal/journal.ts';
import type { Call } from '../../libs/protocol/call.ts';
import type { Machine } from '../../libs/protocol/machine.ts';
import type { Api } from '../../libs/rpc/api.ts';
import { watchEvents } from '../../libs/service/watch-events.ts';
import type {
  Agent,
  ReadTaskLogRequest,
  ReadTaskLogResponse,
  ResourcePoolServiceService,
} from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { Artefacts } from './artefacts.ts';
import { confirmAssignments, reportTasks, submitTasks } from './bulk.ts';
import type { PoolShape } from './core/state.ts';
import type { Grants } from './grants.ts';
import { unrepeated } from './internal-call.ts';
import type { Liveness } from './liveness.ts';
import { LogProof } from './log-proof.ts';
import type { ProgressBoard } from './progress.ts';
import type { TaskLogs } from './task-logs.ts';
import {
  checkAgentList,
  checkAgentName,
  checkCancelMigration,
  checkDrain,
  checkMigration,
  checkRegistration,
} from './validation/agents.ts';
import { checkArtefact, checkArtefactName, checkArtefactPart } from './validation/artefacts.ts';
import { checkAssignments, checkCheckpoint, checkConfirmation, checkReport } from './validation/attempts.ts';
import { checkConfirmations, checkReports, checkSubmissions } from './validation/bulk.ts';
import { checkDecision, checkGroup, checkGroupList } from './validation/groups.ts';
import { checkBorrowing, checkLeaseList, checkLending, checkRevocation } from './validation/leases.ts';
import { checkId, checkSwarm, revisionOf } from './validation/parts.ts';
import { checkRebalance } from './validation/rebalance.ts';
import { checkLimits, checkPolicy } from './validation/settings.ts';
import {
  checkCancel,
  checkDeadLetterList,
  checkEvents,
  checkExplain,
  checkReplay,
  checkSubmission,
  checkTaskList,
  checkWatch,
} from './validation/tasks.ts';
import { taskEnded, watchTasks } from './watching.ts';

export type PoolApi = Api<ResourcePoolServiceService>;

export interface ApiDeps {
  readonly journal: Journal<PoolShape>;
  readonly logs: TaskLogs;
  readonly artefacts: Pick<Artefacts, 'put' | 'read'>;
  readonly liveness: Pick<Liveness, 'heardAt'>;
  readonly grants: Pick<Grants, 'awaited'>;
  readonly progress: Pick<ProgressBoard, 'on'>;
  /** The machine's events, for their keys. */
  readonly events: Machine<PoolShape>['events'];
  /** Resolves when what the registry says of the swarm is known here, so that one that just registered is welcome. */
  readonly lookUp: (swarm: string, call: Call) => Promise<void>;
}

/** The pool's methods in one federation: check the request, ask the machine. */
export function poolApi({ journal, logs, artefacts, liveness, grants, progress, events, lookUp }: ApiDeps): PoolApi {
  return {
    async registerAgent(request, call) {
      checkRegistration(request);
      await lookUp(request.swarm, call);
      return journal.execute('registerAgent', request, call);
    },
    async deregisterAgent(request, call) {
      checkAgentName(request);
      return journal.execute('deregisterAgent', request, call);
    },
    async drainAgent(request, call) {
      checkDrain(request);
      return journal.execute('drainAgent', request, call);
    },
    async resumeAgent(request, call) {
      checkAgentName(request);
      return journal.execute('resumeAgent', request, call);
    },
    async migrateAgent(request, call) {
      checkMigration(request);
      await lookUp(request.to, call);
      return journal.execute('migrateAgent', request, call);
    },
    async cancelMigration(request, call) {
      checkCancelMigration(request);
      return journal.execute('cancelMigration', request, call);
    },
    async planRebalance(request, call) {
      checkRebalance(request);
      return journal.query('planRebalance', request, call, atLeast(request));
    },
    async rebalance(request, call) {
      checkRebalance(request);
      return journal.execute('rebalance', request, call);
    },
    async listMigrations(request, call) {
      checkLeaseList(request);
      return journal.query('listMigrations', request, call, atLeast(request));
    },
    async getAgent(request, call) {
      checkAgentName(request);
      const answer = await journal.query('getAgent', request, call);
      return { ...answer, agent: answer.agent && heard(answer.agent, liveness) };
    },
    async listAgents(request, call) {
      checkAgentList(request);
      const answer = await journal.query('listAgents', request, call, atLeast(request));
      return { ...answer, agents: answer.agents.map((agent) => heard(agent, liveness)) };
    },

    async requestAgent(request, call) {
      checkBorrowing(request);
      await lookUp(request.swarm, call);
      return grants.awaited(await journal.execute('requestAgent', request, call), call);
    },
    async listAgentRequests(request, call) {
      checkLeaseList(request);
      return journal.query('listAgentRequests', request, call, atLeast(request));
    },
    async withdrawAgentRequest(request, call) {
      checkId('id', request.id);
      return journal.execute('withdrawAgentRequest', request, call);
    },
    async renewLease(request, call) {
      checkId('lease', request.lease);
      return journal.execute('renewLease', request, call);
    },
    async releaseLease(request, call) {
      checkId('lease', request.lease);
      return journal.execute('releaseLease', request, call);
    },
    async revokeLease(request, call) {
      checkRevocation(request);
      return journal.execute('revokeLease', request, call);
    },
    async getLendingPolicy(request, call) {
      checkSwarm(request);
      return journal.query('getLendingPolicy', request, call, atLeast(request));
    },
    async setLendingPolicy(request, call) {
      checkLending(request);
      await lookUp(request.policy?.swarm ?? '', call);
      return journal.execute('setLendingPolicy', request, call);
    },
    async listLeases(request, call) {
      checkLeaseList(request);
      return journal.query('listLeases', request, call, atLeast(request));
    },

    async submitTask(request, call) {
      checkSubmission(request);
      await lookUp(request.spec?.swarm ?? '', call);
      return journal.execute('submitTask', request, call);
    },
    async submitTasks(request, call) {
      checkSubmissions(request, call);
      return submitTasks(journal, lookUp, request, call);
    },
    async getTask(request, call) {
      checkId('id', request.id);
      const { linearizable } = request;
      const answer = await journal.query('getTask', request, call, { ...atLeast(request), linearizable });
      return { ...answer, task: answer.task && progress.on(answer.task) };
    },
    async listTasks(request, call) {
      checkTaskList(request);
      const answer = await journal.query('listTasks', request, call, atLeast(request));
      return { ...answer, tasks: answer.tasks.map((task) => progress.on(task)) };
    },
    async listDeadLetters(request, call) {
      checkDeadLetterList(request);
      return journal.query('listDeadLetters', request, call, atLeast(request));
    },
    async getDeadLetter(request, call) {
      checkId('task', request.task);
      return journal.query('getDeadLetter', request, call, atLeast(request));
    },
    async replayTask(request, call) {
      checkReplay(request);
      return journal.execute('replayTask', request, call);
    },
    async cancelTask(request, call) {
      checkCancel(request);
      return journal.execute('cancelTask', request, call);
    },
    async submitGroup(request, call) {
      checkGroup(request);
      await lookUp(request.spec?.swarm ?? '', call);
      return journal.execute('submitGroup', request, call);
    },
    async getGroup(request, call) {
      checkId('id', request.id);
      const { linearizable } = request;
      return journal.query('getGroup', request, call, { ...atLeast(request), linearizable });
    },
    async listGroups(request, call) {
      checkGroupList(request);
      return journal.query('listGroups', request, call, atLeast(request));
    },
    async pauseGroup(request, call) {
      checkCancel(request);
      return journal.execute('pauseGroup', request, call);
    },
    async resumeGroup(request, call) {
      checkId('id', request.id);
      return journal.execute('resumeGroup', request, call);
    },
    async cancelGroup(request, call) {
      checkCancel(request);
      return journal.execute('cancelGroup', request, call);
    },
    async decide(request, call) {
      checkDecision(request);
      return journal.execute('decide', request, call);
    },
    async *watchTasks(request, call) {
      checkWatch(request);
      yield* watchTasks(journal, request, call);
    },
    async *readTaskLog(request, call) {
      checkId('id', request.id);
      yield* readTaskLog(journal, logs, request, call);
    },
    async explain(request, call) {
      checkExplain(request);
      return journal.query('explain', request, call, atLeast(request));
    },
    async *watchEvents(request, call) {
      checkEvents(request);
      yield* watchEvents(journal, events, request, call.signal);
    },

    async listAssignments(request, call) {
      checkAssignments(request);
      return journal.execute('listAssignments', request, unrepeated(call));
    },
    async confirmAssignment(request, call) {
      checkConfirmation(request);
      return journal.execute('confirmAssignment', request, unrepeated(call));
    },
    async confirmAssignments(request, call) {
      checkConfirmations(request, call);
      return confirmAssignments(journal, request, call);
    },
    async saveCheckpoint(request, call) {
      checkCheckpoint(request);
      return journal.execute('saveCheckpoint', request, call);
    },
    async getCheckpoint(request, call) {
      checkId('task', request.task);
      return journal.query('getCheckpoint', request, call, atLeast(request));
    },
    async putArtefactPart(request, call) {
      const content = checkArtefactPart(request);
      const answer = await journal.execute('putArtefactPart', { ...request, data: '' }, unrepeated(call));
      await artefacts.put(request, request.part, content);
      return answer;
    },
    async addArtefact(request, call) {
      checkArtefact(request);
      return journal.execute('addArtefact', request, call);
    },
    async *readArtefact(request, call) {
      checkArtefactName(request);
      const artefact = await journal.query('artefact', request, call, { linearizable: true });
      yield { artefact, data: '' };
      for await (const content of artefacts.read(request.task, artefact)) {
        yield { artefact: undefined, data: Buffer.from(content).toString('base64') };
      }
    },
    async reportTask(request, call) {
      checkReport(request);
      return journal.execute('reportTask', request, unrepeated(call));
    },
    async reportTasks(request, call) {
      checkReports(request, call);
      return reportTasks(journal, request, call);
    },

    async getPolicy(request, call) {
      return journal.query('getPolicy', request, call, atLeast(request));
    },
    async getSwarmLimits(request, call) {
      checkSwarm(request);
      return journal.query('getSwarmLimits', request, call, atLeast(request));
    },
    async setSwarmLimits(request, call) {
      checkLimits(request);
      return journal.execute('setSwarmLimits', request, call);
    },
    async setPolicy(request, call) {
      checkPolicy(request);
      return journal.execute('setPolicy', request, call);
    },
  };
}

/** What this replica knows and no journal: when the agent was last heard. */
function heard(agent: Agent, liveness: Pick<Liveness, 'heardAt'>): Agent {
  const at = liveness.heardAt(`${agent.swarm}/${agent.name}`, agent.instance);
  return at === undefined ? agent : { ...agent, lastHeartbeatAt: new Date(at).toISOString() };
}

const atLeast = (request: { minRevision: string }): QueryOptions => ({
  minRevision: revisionOf('minRevision', request.minRevision),
});

async function* readTaskLog(
  journal: Journal<PoolShape>,
  logs: TaskLogs,
  { id, follow, after }: ReadTaskLogRequest,
  call: Call,
): AsyncGenerator<ReadTaskLogResponse> {
  const request = { id, minRevision: '0', linearizable: false };
  const { task, revision } = await journal.query('getTask', request, call, { linearizable: true });
  if (!task) return;
  const ended = follow ? taskEnded(journal, task, call, Number(revision)) : undefined;
  const keys = async () => new Map((await journal.query('logKeys', { id }, call, { linearizable: true })).keys);
  const { signal } = call;
  const proof = new LogProof(keys);
  const parts = logs.read({ task: id, after: revisionOf('after', after), signal, ended, proof });
  for await (const { lines, position } of parts) yield { lines, position: String(position) };
}
