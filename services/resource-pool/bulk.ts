import { createHash } from 'node:crypto';
import type { Journal } from '../../libs/journal/journal.ts';
import type { Call, RequestId } from '../../libs/protocol/call.ts';
import { describePrincipal, type Principal } from '../../libs/protocol/principal.ts';
import { isSampled } from '../../libs/telemetry/traceparent.ts';
import type {
  ConfirmAssignmentsRequest,
  ConfirmAssignmentsResponse,
  ConfirmedAssignment,
  ReportedTask,
  ReportTasksRequest,
  ReportTasksResponse,
  SubmitTaskRequest,
  SubmitTasksRequest,
  SubmitTasksResponse,
  SubmittedTask,
} from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { PoolShape } from './core/state.ts';
import { unrepeated } from './internal-call.ts';
import { Refusals } from './refusal.ts';
import { checkConfirmation, checkReport } from './validation/attempts.ts';
import { checkSubmission } from './validation/tasks.ts';

/**
 * Calls with many items. Each item is checked, decided and answered by itself; all of them are handed to the journal at
 * once, so that they go into one group, or the few that have room for them.
 *
 * A call's request id is not kept for its items: a journal keeps few answers of a client. What makes a repeat harmless is
 * each item's own key: a task's id and spec, a report's attempt and outcome.
 */

type Executing = Pick<Journal<PoolShape>, 'execute' | 'revision' | 'role' | 'state'>;

/** Submits each task, or says why not. `lookUp`: see the api's. */
export async function submitTasks(
  journal: Executing,
  lookUp: (swarm: string, call: Call) => Promise<void>,
  { tasks }: SubmitTasksRequest,
  call: Call,
): Promise<SubmitTasksResponse> {
  const lookUps = new Map<string, Promise<void>>();
  const own = unrepeated(call);
  const unnamed = unrepeated(call, call.trace, false);
  const known = (swarm: string): Promise<void> => {
    const asked = lookUps.get(swarm) ?? lookUp(swarm, call);
    lookUps.set(swarm, asked);
    return asked;
  };
  const submit = async (given: SubmitTaskRequest, place: number): Promise<Submitted> => {
    checkSubmission(given);
    await known(given.spec?.swarm ?? '');
    const id = given.id || (call.request ? idOf(call.request, call.principal, place) : '');
    const answer = await journal.execute('submitTask', { ...given, id, idempotent: true }, id === '' ? unnamed : own);
    return { ...answer, created: answer.created || given.id === '' };
  };
  const refusals = new Refusals();
  let revision = journal.revision;
  const outcomes = await Promise.allSettled(tasks.map(submit));
  const submitted = outcomes.map((outcome, i): SubmittedTask => {
    if (outcome.status === 'rejected') {
      const refusal = refusals.of(outcome.reason);
      return { id: tasks[i]?.id ?? '', created: false, state: 'TASK_STATE_UNSPECIFIED', agent: '', refusal };
    }
    revision = Math.max(revision, Number(outcome.value.revision));
    return briefly(outcome.value);
  });
  return { tasks: submitted, revision: String(revision) };
}

/** What is answered of one task of many: not the whole of it. */
export const briefly = ({ task, created, agent }: Submitted): SubmittedTask => ({
  ...{ id: task?.id ?? '', created, state: task?.state ?? 'TASK_STATE_UNSPECIFIED', agent },
});

type Submitted = PoolShape['commands']['submitTask']['reply'];

/** Takes each confirmation, or says why not. */
export async function confirmAssignments(
  journal: Executing,
  { confirmations }: ConfirmAssignmentsRequest,
  call: Call,
): Promise<ConfirmAssignmentsResponse> {
  const refusals = new Refusals();
  const outcomes = await Promise.allSettled(
    confirmations.map(async (confirmation) => {
      checkConfirmation(confirmation);
      return journal.execute('confirmAssignment', confirmation, ofTask(journal, confirmation.task, call));
    }),
  );
  const confirmed = outcomes.map((outcome): ConfirmedAssignment => {
    if (outcome.status === 'rejected') return { answer: undefined, refusal: refusals.of(outcome.reason) };
    return { answer: outcome.value, refusal: undefined };
  });
  return { confirmations: confirmed };
}

/** Takes each report, or says why not. */
export async function reportTasks(
  journal: Executing,
  { reports }: ReportTasksRequest,
  call: Call,
): Promise<ReportTasksResponse> {
  const refusals = new Refusals();
  let revision = journal.revision;
  const outcomes = await Promise.allSettled(
    reports.map(async (report) => {
      checkReport(report);
      return journal.execute('reportTask', report, ofTask(journal, report.task, call));
    }),
  );
  const reported = outcomes.map((outcome, i): ReportedTask => {
    const task = reports[i]?.task ?? '';
    if (outcome.status === 'rejected') {
      return { task, state: 'TASK_STATE_UNSPECIFIED', refusal: refusals.of(outcome.reason) };
    }
    revision = Math.max(revision, Number(outcome.value.revision));
    return { task, state: outcome.value.state };
  });
  return { reports: reported, revision: String(revision) };
}

/** The same call as a part of what follows from the task's submission, unless somebody follows the call itself. */
function ofTask(journal: Executing, task: string, call: Call): Call {
  if (isSampled(call.trace.traceparent) || journal.role === 'starting' || journal.role === 'stopped') {
    return unrepeated(call);
  }
  const row = journal.state.tasks.get(task);
  if (!row) return unrepeated(call);
  const { traceparent, correlationId, hops } = row;
  return unrepeated(call, { traceparent, correlationId, hops });
}

/** The id of a task, or a group, that was given none: the same at every repeat of its call, and nobody else's. */
export function idOf(
  { client, counter }: RequestId,
  principal: Principal,
  place: number,
  kind: 'task' | 'group' = 'task',
): string {
  const text = `${describePrincipal(principal)} ${client} ${counter} ${place}`;
  return `${kind}-${createHash('sha256').update(text).digest('hex').slice(0, 24)}`;
}
