import type { Agent, Lease, Task } from '../libs/wire/hivebus/pool/v1/pool.ts';
import type { Liveness, Swarm } from '../libs/wire/hivebus/registry/v1/registry.ts';
import { colors, fields, table } from './output.ts';
import { ago, between, word } from './values.ts';

/** Tables of what Hivebus knows, for people. */

const GOOD = new Set(['healthy', 'ready', 'succeeded', 'active']);
const BAD = new Set(['unreachable', 'failed', 'timed-out', 'terminal', 'lost', 'revoked']);
const DOUBTFUL = new Set(['suspect', 'draining', 'cancelled', 'expired']);

/** A state's name in its colour. */
export function stateText(value: string, prefix: string): string {
  const text = word(value, prefix);
  if (GOOD.has(text)) return colors.green(text);
  if (BAD.has(text)) return colors.red(text);
  return DOUBTFUL.has(text) ? colors.yellow(text) : text;
}

function livenessText(swarm: Swarm): string {
  const text = stateText(swarm.liveness, 'LIVENESS');
  const since: Liveness[] = ['LIVENESS_SUSPECT', 'LIVENESS_UNREACHABLE'];
  return since.includes(swarm.liveness) ? `${text} since ${ago(swarm.livenessSince)}` : text;
}

export function swarmTable(swarms: readonly Swarm[]): string {
  if (swarms.length === 0) return 'no swarms are registered';
  return table(
    ['NAME', 'LIVENESS', 'HEALTH', 'OFFERS', 'PROJECT', 'REGISTERED'],
    swarms.map((swarm) => [
      swarm.name,
      livenessText(swarm),
      swarm.health ? swarm.health.value.toFixed(2) : '-',
      swarm.capabilities.map((each) => `${each.agentType}:${each.capacity}`).join(' ') || '-',
      swarm.project || '-',
      ago(swarm.registeredAt),
    ]),
  );
}

export function agentTable(agents: readonly Agent[]): string {
  if (agents.length === 0) return 'no agents are registered';
  return table(
    ['AGENT', 'STATE', 'BUSY', 'SERVES', 'TYPE', 'CAPABILITIES'],
    agents.map((agent) => [
      `${agent.swarm}/${agent.name}`,
      stateText(agent.state, 'AGENT_STATE'),
      `${agent.busy}/${agent.slots}`,
      agent.lease === '' ? agent.serving || agent.swarm : colors.cyan(`${agent.serving} (lent)`),
      agent.type,
      agent.capabilities.join(' ') || '-',
    ]),
  );
}

export function leaseTable(leases: readonly Lease[]): string {
  if (leases.length === 0) return 'nothing is lent';
  return table(
    ['LEASE', 'AGENT', 'BORROWER', 'STATE', 'ENDS', 'TERM'],
    leases.map((lease) => [
      lease.id,
      lease.agent,
      lease.borrower,
      stateText(lease.state, 'LEASE_STATE'),
      lease.expiresAt && lease.state === 'LEASE_STATE_ACTIVE'
        ? `in ${between(new Date().toISOString(), lease.expiresAt)}`
        : '-',
      `${lease.termMs / 1000}s`,
    ]),
  );
}

export function taskTable(tasks: readonly Task[]): string {
  if (tasks.length === 0) return 'no tasks';
  return table(
    ['TASK', 'STATE', 'TITLE', 'AGENT', 'TOOK', 'TRIES', 'SWARM', 'TYPE'],
    tasks.map((task) => [
      task.id,
      stateText(task.state, 'TASK_STATE'),
      task.spec?.title || '-',
      task.attempts.at(-1)?.agent ?? '-',
      task.endedAt ? between(task.submittedAt, task.endedAt) : '-',
      String(task.attempts.length),
      task.spec?.swarm ?? '-',
      task.spec?.type ?? '-',
    ]),
  );
}

/** One task with all that is known of it. */
export function taskDetails(task: Task): string {
  const { spec } = task;
  const facts = fields(
    [
      ['task', task.id],
      ['title', spec?.title ?? ''],
      ['state', stateText(task.state, 'TASK_STATE') + (task.cancelRequested ? ' (cancel requested)' : '')],
      ['waits for', task.waitingFor],
      ['reason', task.reason],
      ['swarm', spec?.swarm ?? ''],
      ['needs', [spec?.type, ...(spec?.capabilities ?? [])].join(' ')],
      ['submitted', `${ago(task.submittedAt)} by ${task.submittedBy}`],
      ['took', task.endedAt ? between(task.submittedAt, task.endedAt) : ''],
      ['trace', task.traceparent.split('-')[1] ?? ''],
      [
        'labels',
        Object.entries(spec?.labels ?? {})
          .map(([key, value]) => `${key}=${value}`)
          .join(' '),
      ],
      ['payload', shortJson(spec?.payload)],
      ['result', shortJson(task.result)],
    ].filter((pair): pair is [string, string] => pair[1] !== ''),
  );
  return task.attempts.length === 0 ? facts : `${facts}\n\n${attemptTable(task)}`;
}

function attemptTable(task: Task): string {
  return table(
    ['TRY', 'AGENT', 'LEASE', 'OUTCOME', 'TOOK', 'REASON'],
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
  const text = JSON.stringify(value) ?? '';
  return text.length > 500 ? `${text.slice(0, 499)}…` : text;
}
