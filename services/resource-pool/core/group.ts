import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import { sameJson } from '../../../libs/kernel/json.ts';
import { nearest } from '../../../libs/kernel/nearest.ts';
import type { Ctx, Decision, Machine } from '../../../libs/protocol/machine.ts';
import { describePrincipal } from '../../../libs/protocol/principal.ts';
import type { Group, GroupSpec } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import { keyOfSwarm, registrationOf, requireMember, requireRegistration, requireSwarm } from './access.ts';
import { requireBudget, submissionCharge } from './budget.ts';
import { decideGate, decideTask } from './decide.ts';
import { type Draft, requireDependencies } from './dependency.ts';
import { draftsOf, withIds } from './group-draft.ts';
import { newGroup } from './group-events.ts';
import type { GroupRow } from './group-rows.ts';
import { groupView } from './group-view.ts';
import { requireRoomToSubmit } from './limits.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolSoft, PoolState } from './state.ts';
import { requireRoom, taken } from './task.ts';
import { taskView } from './view.ts';

type Commands = Pick<
  Machine<PoolShape>['commands'],
  'submitGroup' | 'pauseGroup' | 'resumeGroup' | 'cancelGroup' | 'decide'
>;

/** What may be done with a whole group; what it does by itself is in group-moves.ts. */
export const groupCommands = (settings: PoolSettings): Commands => ({
  submitGroup(state, input, ctx) {
    const given = input.spec as GroupSpec;
    const { swarm } = given;
    requireMember(ctx, swarm, 'submit a group');
    keyOfSwarm(ctx, swarm);
    const id = input.id || ctx.id('group');
    const drafts = draftsOf(id, given, input.tasks);
    const spec = withIds(id, given, drafts);
    const tasks = drafts.map((draft) => draft.id);
    const revision = String(ctx.revision);
    const known = state.groups.get(id);
    if (known) {
      if (!input.idempotent || !isSame(state, known, spec, drafts)) throw groupTaken(id, input.idempotent);
      return { events: [], reply: () => ({ group: viewOf(state, id), tasks, created: false, revision }) };
    }
    const used = tasks.find((task) => state.tasks.has(task));
    if (used !== undefined) throw taken(used);
    requireRoom(state, tasks.length, settings);
    requireRoomToSubmit(state, swarm, ctx.now, tasks.length);
    if (state.ties.openGroups >= settings.maxGroups) throw tooManyGroups(settings.maxGroups);
    requireDependencies(state, drafts, (task) => (task.startsWith(`${id}-`) ? task.slice(id.length + 1) : task));
    const { traceparent, correlationId, hops } = ctx.trace;
    const common = {
      submittedBy: describePrincipal(ctx.principal),
      traceparent,
      registration: registrationOf(ctx, swarm),
    };
    const submitted = { group: id, spec, tasks: tasks.length, ...common };
    const { origin } = input;
    const asked = { what: `group ${quote(id)}`, units: tasks.length };
    const lineages = drafts.map((draft) =>
      requireBudget(state, ctx, draft.id, draft.spec.budget, origin?.parent ?? '', asked),
    );
    if (input.dryRun) {
      const counts = { total: tasks.length, blocked: tasks.length, ...{ queued: 0, running: 0 } };
      const none = { succeeded: 0, failed: 0, cancelled: 0 };
      const row = newGroup(submitted, { revision: 0, index: 0, time: ctx.now });
      const group = groupView({ ...row, counts: { ...counts, ...none } }, state);
      return { events: [], reply: () => ({ group, tasks, created: true, revision }) };
    }
    const events = drafts.flatMap((draft, i): PoolEvent[] => {
      const data = { task: draft.id, spec: draft.spec, ...common, correlationId, hops, origin };
      return [{ type: 'task.submitted', data }, ...submissionCharge(lineages[i] ?? {}, draft.id)];
    });
    return {
      events: [{ type: 'group.submitted', data: submitted }, ...events],
      reply: () => ({ group: viewOf(state, id), tasks, created: true, revision }),
    };
  },

  pauseGroup(state, { id, reason }, ctx) {
    const group = find(state, id, ctx, 'pause a group');
    if (group.state === 'GROUP_STATE_PAUSED') return answer(state, id, [], ctx);
    if (group.state !== 'GROUP_STATE_RUNNING') throw over(group, 'paused');
    const why = `paused by ${describePrincipal(ctx.principal)}${reason === '' ? '' : `: ${reason}`}`;
    return answer(state, id, [{ type: 'group.paused', data: { group: id, reason: why } }], ctx);
  },

  resumeGroup(state, { id }, ctx) {
    const group = find(state, id, ctx, 'resume a group');
    if (group.state === 'GROUP_STATE_RUNNING') return answer(state, id, [], ctx);
    if (group.state !== 'GROUP_STATE_PAUSED') throw over(group, 'resumed');
    return answer(state, id, [{ type: 'group.resumed', data: { group: id } }], ctx);
  },

  cancelGroup(state, { id, reason }, ctx) {
    const group = find(state, id, ctx, 'cancel a group');
    const isCancelled = (group.ending ?? group.state) === 'GROUP_STATE_CANCELLED';
    if (isCancelled) return answer(state, id, [], ctx);
    if (group.endedAt > 0) throw over(group, 'cancelled');
    const why = reason || `cancelled by ${describePrincipal(ctx.principal)}`;
    return answer(state, id, [cancelled(id, why)], ctx);
  },

  decide(state, { task: id, group: groupId, phase, approve, reason }, ctx) {
    const revision = String(ctx.revision);
    if (groupId !== '') {
      const events = decideGate(known(state, groupId), phase, { approve, reason }, ctx);
      return { events, reply: () => ({ group: viewOf(state, groupId), revision }) };
    }
    const task = state.tasks.get(id);
    if (!task) throw notFound('task', id, 'it never was, or it ended long ago and is no longer kept');
    const events = decideTask(task, { approve, reason }, ctx);
    const reply = () => ({ task: taskView(state.tasks.get(id) ?? task, state), revision });
    return { events, reply };
  },
});

export const cancelled = (group: string, reason: string): PoolEvent => ({
  type: 'group.ending',
  data: { group, state: 'GROUP_STATE_CANCELLED', reason, tallies: [] },
});

/** Of tasks that are no longer kept nothing can be said. */
const isSame = (state: PoolState, known: GroupRow, spec: GroupSpec, drafts: readonly Draft[]): boolean =>
  known.tasks === drafts.length &&
  sameJson(known.spec, spec) &&
  drafts.every((draft) => sameJson((state.tasks.get(draft.id) ?? draft).spec, draft.spec));

export function known(state: PoolState, id: string): GroupRow {
  const group = state.groups.get(id);
  if (group) return group;
  const close = nearest(id, [...state.groups.keys()]);
  throw notFound(
    'group',
    id,
    close ? `did you mean ${close}?` : 'it never was, or it ended long ago and is no longer kept',
  );
}

function find(state: PoolState, id: string, ctx: Ctx<PoolSoft>, action: string): GroupRow {
  const group = known(state, id);
  requireSwarm(ctx, [group.spec.swarm], action);
  requireRegistration(ctx, group.spec.swarm, group, action);
  return group;
}

const viewOf = (state: PoolState, id: string): Group => groupView(known(state, id), state);

const answer = (
  state: PoolState,
  id: string,
  events: readonly PoolEvent[],
  ctx: Ctx,
): Decision<PoolShape, { group: Group; revision: string }> => ({
  events,
  reply: () => ({ group: viewOf(state, id), revision: String(ctx.revision) }),
});

const groupTaken = (id: string, idempotent: boolean): HiveError =>
  new HiveError(
    'ALREADY_EXISTS',
    `group ${quote(id)} exists already${idempotent ? ' with another content, and a group cannot be changed' : ''}; choose another id`,
    { reason: idempotent ? 'OTHER_SPEC' : 'ID_TAKEN' },
  );

const tooManyGroups = (limit: number): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `${limit} groups have not ended, which is the limit; submit it again later`, {
    retryable: true,
    retryAfterMs: 1000,
    reason: 'TOO_MANY_GROUPS',
  });

function over({ id, state, endedAt, reason }: GroupRow, what: string): HiveError {
  const how =
    endedAt > 0
      ? `ended at ${new Date(endedAt).toISOString()} as ${state.slice('GROUP_STATE_'.length)}`
      : `is about to end: ${reason}`;
  return new HiveError('FAILED_PRECONDITION', `group ${quote(id)} ${how}; it cannot be ${what}`, {
    reason: 'GROUP_ENDED',
  });
}
