import { formatDuration } from '../../libs/kernel/durations.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type {
  BudgetUse,
  CancelTaskResponse,
  Checkpoint,
  RetryPolicy,
  Task,
  TaskContinuity,
  TaskOrigin,
  TaskProgress,
  TaskState,
  TaskTimeLimits,
} from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { taskManifest } from '../manifest/written.ts';
import { facts, listing } from '../output.ts';
import { plainLine, printable } from '../printable.ts';
import { allTasks } from '../queries.ts';
import { stateText } from '../render.ts';
import { selectorText } from '../selector.ts';
import { ago, between, word } from '../values.ts';
import { type Kind, named, present } from './kind.ts';

/** A task that waits is on no agent: its attempts are over. */
const waits = (state: TaskState): boolean => state === 'TASK_STATE_QUEUED' || state === 'TASK_STATE_BLOCKED';

export const TASKS: Kind<Task> = {
  name: 'task',
  plural: 'tasks',
  aliases: ['t', 'swarmtask', 'swarmtasks'],
  what: 'work for agents',
  service: 'pool',
  none: 'no tasks',
  filters: ['swarm', 'labels'],
  columns: [
    { title: 'TASK', of: ({ id }) => id },
    { title: 'STATE', of: ({ state }) => stateText(state, 'TASK_STATE') },
    { title: 'TITLE', of: ({ spec }) => spec?.title || '-' },
    { title: 'AGENT', of: ({ state, attempts }) => (waits(state) ? '-' : (attempts.at(-1)?.agent ?? '-')) },
    { title: 'TOOK', of: ({ submittedAt, endedAt }) => (endedAt ? between(submittedAt, endedAt) : '-') },
    { title: 'TRIES', of: ({ attempts }) => String(attempts.length) },
    { title: 'SWARM', of: ({ spec }) => spec?.swarm ?? '-' },
    { title: 'TYPE', of: ({ spec }) => spec?.type ?? '-' },
  ],
  nameOf: ({ id }) => id,
  list: (hive, { swarm = '', labels = {} }) => allTasks(hive, { swarm, labels }),
  get: async (hive, name) => present((await hive.pool.getTask({ id: name })).task, 'task', name),
  details: taskDetails,
  swarmsOf: ({ spec }) => (spec ? [spec.swarm] : []),
  touched: (event) => (event.type === 'task.forgotten' ? (event.data?.tasks ?? []) : named('task', 'task')(event)),
  manifest: taskManifest,
  remove: {
    means: 'it is asked to end; what has ended is forgotten by itself',
    run: async (hive, name) => (await cancelTask(hive, name)).said,
  },
};

/** Asks a task to end, and says what came of it: one that had been cancelled before is told apart. */
export async function cancelTask(hive: Hive, id: string, reason = ''): Promise<{ task: Task; said: string }> {
  const before = present((await hive.pool.getTask({ id, linearizable: true })).task, 'task', id);
  const answer = await hive.pool.cancelTask({ id, reason });
  const task = present(answer.task, 'task', id);
  if (before.endedAt) return { task, said: `task ${id} had ended already, as ${word(before.state, 'TASK_STATE')}` };
  const [is, others] = [task.endedAt ? 'is ended' : 'is asked to end', othersText(answer)];
  return {
    task,
    said: `task ${id} ${is}${others && `; ${others}${task.endedAt ? '' : ', unless it succeeds first'}`}`,
  };
}

/** So many of those that end with a task are named. */
const MAX_OTHERS = 5;

/** `with it end 2 that wait for it: a, b`; empty = none does. */
export function othersText({ endsToo, endsTooTotal }: CancelTaskResponse): string {
  if (endsTooTotal === 0) return '';
  const named = endsToo.slice(0, MAX_OTHERS);
  const left = endsTooTotal - named.length;
  const wait = endsTooTotal === 1 ? 'ends 1 that waits' : `end ${endsTooTotal} that wait`;
  return `with it ${wait} for it: ${named.join(', ')}${left > 0 ? `, and ${left} more` : ''}`;
}

/** One task with all that is known of it. */
export function taskDetails(found: Task): string {
  const task = printable(found);
  const { spec } = task;
  const labels = Object.entries(spec?.labels ?? {});
  const known = facts([
    ['task', task.id],
    ['title', spec?.title ?? ''],
    ['state', stateText(task.state, 'TASK_STATE') + (task.cancelRequested ? ' (cancel requested)' : '')],
    ['waits for', task.waitingFor],
    ['reason', task.reason],
    ['swarm', spec?.swarm ?? ''],
    ['needs', [spec?.type, ...(spec?.capabilities ?? [])].join(' ')],
    ['volumes', spec?.volumes?.names.join(' ') ?? ''],
    ['continuity', continuityText(spec?.continuity)],
    ['budget', budgetText(task.budgetUse)],
    ['made from', originText(task.origin)],
    ['progress', progressText(task.progress)],
    ['checkpoint', checkpointText(task.checkpoint)],
    ['agent', selectorText(spec?.selector)],
    ['retry', retryText(spec?.retry)],
    ['limits', limitsText(spec?.limits)],
    ['submitted', `${ago(task.submittedAt)} by ${task.submittedBy}`],
    ['took', task.endedAt ? `${between(task.submittedAt, task.endedAt)} from submission to end` : ''],
    ['trace', task.traceparent.split('-')[1] ?? ''],
    ['group', [spec?.ties?.group, spec?.ties?.phase].filter(Boolean).join(', phase ')],
    ['after', spec?.ties?.after.map((each) => each.task).join(' ') ?? ''],
    ['approval', approvalText(task)],
    ['labels', labels.map(([key, value]) => `${key}=${value}`).join(' ')],
    ['payload', shortJson(found.spec?.payload)],
    ['artefacts', (task.artefacts?.items ?? []).map(({ name, bytes }) => `${name} (${bytes} bytes)`).join(', ')],
    ['result', shortJson(found.result)],
  ]);
  return task.attempts.length === 0 ? known : `${known}\n\n${attemptTable(task)}`;
}

const continuityText = (given: TaskContinuity | undefined): string =>
  [given?.resume ? 'resumes' : '', given?.claim ? 'has a claim' : ''].filter(Boolean).join(', ');

function budgetText(use: BudgetUse | undefined): string {
  if (!use) return '';
  const { spend = 0, hops = 0 } = use.budget ?? {};
  const units = spend === 0 ? `${use.used} units used` : `${use.used} of ${spend} units used`;
  return `${units}${hops > 0 ? `, ${hops} hops` : ''}, of task ${use.task}`;
}

const originText = (from: TaskOrigin | undefined): string =>
  [from?.parent && `task ${from.parent}`, from?.replayOf && `the dead letter ${from.replayOf}`]
    .filter(Boolean)
    .join(', ');

/** `40%, counting, said 300ms ago` */
const progressText = (said: TaskProgress | undefined): string =>
  said
    ? [said.percent === undefined ? '' : `${said.percent}%`, said.text, `said ${ago(said.at)}`]
        .filter(Boolean)
        .join(', ')
    : '';

const checkpointText = (found: Checkpoint | undefined): string =>
  found ? `${found.number}, of attempt ${found.attempt}, ${found.bytes} bytes, ${ago(found.savedAt)}` : '';

function retryText(retry: RetryPolicy | undefined): string {
  if (!retry) return '';
  const most = retry.maxBackoffMs > 0 ? `, at most ${formatDuration(retry.maxBackoffMs)}` : '';
  return `after ${formatDuration(retry.backoffMs)}, doubled each time${most}`;
}

function limitsText(limits: TaskTimeLimits | undefined): string {
  const { queuedMs = 0, totalMs = 0 } = limits ?? {};
  const parts = [
    queuedMs > 0 ? `waits ${formatDuration(queuedMs)} for an agent at most` : '',
    totalMs > 0 ? `takes ${formatDuration(totalMs)} in all at most` : '',
  ];
  return parts.filter((part) => part !== '').join(', ');
}

function approvalText({ id, state, spec, verdict }: Task): string {
  if (verdict) return `${verdict.by} said yes ${ago(verdict.at)}${verdict.reason === '' ? '' : `: ${verdict.reason}`}`;
  if (!spec?.ties?.approval) return '';
  const who = spec.ties.approval.operatorOnly ? 'an operator' : `swarm ${spec.swarm} or an operator`;
  return `needs the yes of ${who}${state === 'TASK_STATE_BLOCKED' ? `: hivebus task approve ${id}` : ''}`;
}

function attemptTable(task: Task): string {
  return listing(
    ['TRY', 'AGENT', 'LEASE', 'OUTCOME', 'RAN', 'REASON'],
    task.attempts.map((attempt) => [
      String(attempt.number),
      attempt.agent,
      attempt.lease || '-',
      attempt.endedAt ? stateText(attempt.outcome, 'OUTCOME') : attempt.startedAt ? 'running' : 'assigned',
      between(attempt.startedAt, attempt.endedAt),
      attempt.reason || '-',
    ]),
  );
}

function shortJson(value: unknown): string {
  const text = plainLine(JSON.stringify(value) ?? '');
  return text.length > 500 ? `${text.slice(0, 499)}…` : text;
}
