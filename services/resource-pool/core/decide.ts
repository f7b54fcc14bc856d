import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import type { Ctx } from '../../../libs/protocol/machine.ts';
import { describePrincipal } from '../../../libs/protocol/principal.ts';
import type { Approval } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { DecideRequest } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { requireOperator, requireRegistration, requireSwarm } from './access.ts';
import { endUntried } from './dependency.ts';
import type { GroupRow } from './group-rows.ts';
import { waitingGate } from './group-view.ts';
import type { TaskRow } from './rows.ts';
import type { PoolEvent, PoolSoft } from './state.ts';
import { hasEnded } from './task-states.ts';

/**
 * Somebody's yes or no. Who may say it is looked at here and nowhere else: what follows from it is the same whoever said
 * it, so a vote's outcome comes in as one more principal.
 */
type Said = Pick<DecideRequest, 'approve' | 'reason'>;

function requireSay(ctx: Ctx<PoolSoft>, swarm: string, approval: Approval, action: string): void {
  if (approval.operatorOnly) requireOperator(ctx, action);
  else requireSwarm(ctx, [swarm], action);
}

export function decideTask(task: TaskRow, { approve, reason }: Said, ctx: Ctx<PoolSoft>): PoolEvent[] {
  const { swarm, ties } = task.spec;
  const what = `task ${quote(task.id)}`;
  if (!ties?.approval) throw needsNone(`${what} waits for nobody's yes`);
  requireSay(ctx, swarm, ties.approval, 'decide on a task');
  requireRegistration(ctx, swarm, task, 'decide on a task');
  const by = describePrincipal(ctx.principal);
  const { verdict } = task;
  if (verdict) {
    if (approve) return [];
    throw saidBefore(
      `${what} was approved by ${verdict.by} at ${new Date(verdict.at).toISOString()}; cancel it instead`,
    );
  }
  if (hasEnded(task.state)) throw saidBefore(`${what} ended before anybody had said yes: ${task.reason}`);
  if (approve) return [{ type: 'task.approved', data: { task: task.id, by, reason } }];
  return [endUntried(task.id, 'TASK_STATE_CANCELLED', refusedBy(by, reason))];
}

export function decideGate(group: GroupRow, phase: string, said: Said, ctx: Ctx<PoolSoft>): PoolEvent[] {
  const { id, spec } = group;
  const what = `group ${quote(id)}`;
  if (phase !== '' && !spec.phases.some(({ name }) => name === phase)) {
    throw notFound('phase', phase, `${what} has ${spec.phases.map(({ name }) => name).join(', ') || 'none'}`);
  }
  const waiting = waitingGate(group);
  const name = phase || waiting?.phase || '';
  const approval = spec.phases.find((each) => each.name === name)?.gate?.approval;
  if (!approval) throw needsNone(`no gate of ${what} ${phase === '' ? '' : `after phase ${phase} `}waits for a yes`);
  requireSay(ctx, spec.swarm, approval, 'decide on a gate');
  requireRegistration(ctx, spec.swarm, group, 'decide on a gate');
  const reached = group.gates.find((gate) => gate.phase === name);
  if (!reached) throw needsNone(`${what} has not reached the gate after phase ${name} yet`);
  if (reached !== waiting) {
    if (reached.verdict?.approved === said.approve) return [];
    throw saidBefore(
      `the gate after phase ${name} of ${what} is decided: ${reached.state.slice('GATE_STATE_'.length)}`,
    );
  }
  if (group.endedAt > 0 || group.state === 'GROUP_STATE_ENDING') throw saidBefore(`${what} ends: ${group.reason}`);
  const by = describePrincipal(ctx.principal);
  const verdict = { approved: said.approve, by, reason: said.reason };
  const report = { phase: name, findings: [...reached.findings], verdict };
  const state = said.approve ? 'GATE_STATE_GO' : 'GATE_STATE_NO_GO';
  const decided: PoolEvent = { type: 'group.gate', data: { group: id, report: { ...report, state } } };
  if (said.approve) return [decided];
  const reason = `no-go after phase ${name}: ${refusedBy(by, said.reason)}`;
  return [decided, { type: 'group.ending', data: { group: id, state: 'GROUP_STATE_FAILED', reason, tallies: [] } }];
}

const refusedBy = (by: string, reason: string): string => `refused by ${by}${reason === '' ? '' : `: ${reason}`}`;

const needsNone = (message: string): HiveError =>
  new HiveError('FAILED_PRECONDITION', message, { reason: 'NO_APPROVAL' });
const saidBefore = (message: string): HiveError => new HiveError('FAILED_PRECONDITION', message, { reason: 'DECIDED' });
