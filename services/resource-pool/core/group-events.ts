import type { Machine, Stamp } from '../../../libs/protocol/machine.ts';
import type { GroupSubmitted } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type { GroupSpec } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import { taskKey } from './attempt-events.ts';
import type { GateRow, GroupRow } from './group-rows.ts';
import { openWindow } from './group-window.ts';
import { orderOf, registered, waitIsOver } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolShape, PoolState } from './state.ts';
import { deleteGroup, putGroup, putTask } from './store.ts';
import { next } from './task-states.ts';
import { taskWith } from './whole-rows.ts';

type Events = Pick<
  Machine<PoolShape>['events'],
  | 'task.released'
  | 'task.approved'
  | 'group.submitted'
  | 'group.paused'
  | 'group.resumed'
  | 'group.gate'
  | 'group.ending'
  | 'group.ended'
  | 'group.forgotten'
>;

export const groupEvents = (settings: PoolSettings): Events => ({
  'task.released': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const to = task && next(task.state, 'release');
      if (!to) return;
      const released = { state: to, revision: at.revision };
      const isReady = waitIsOver(task, at.time);
      const ready = { notBefore: undefined, readySince: at.time };
      putTask(state, taskWith(task, isReady ? { ...released, ...ready } : released), settings);
    },
    key: (data, state) => taskKey(state, data.task),
  },

  'task.approved': {
    apply(state, data, at) {
      const task = state.tasks.get(data.task);
      const to = task && next(task.state, 'approve');
      if (!to) return;
      const verdict = { approved: true, by: data.by, reason: data.reason, at: at.time };
      putTask(state, taskWith(task, { verdict, state: to, revision: at.revision }), settings);
    },
    key: (data, state) => taskKey(state, data.task),
  },

  'group.submitted': {
    apply(state, data, at) {
      putGroup(state, newGroup(data, at));
    },
    key: (data) => `${data.spec?.swarm ?? 'unknown'}.${data.group}`,
  },

  'group.paused': {
    apply(state, data, at) {
      const group = state.groups.get(data.group);
      if (group?.state !== 'GROUP_STATE_RUNNING') return;
      putGroup(state, { ...group, state: 'GROUP_STATE_PAUSED', reason: data.reason, revision: at.revision });
      holdAll(state, data.group, at.revision, settings);
    },
    key: (data, state) => groupKey(state, data.group),
  },

  'group.resumed': {
    apply(state, data, at) {
      const group = state.groups.get(data.group);
      if (group?.state !== 'GROUP_STATE_PAUSED') return;
      putGroup(state, { ...group, state: 'GROUP_STATE_RUNNING', reason: '', revision: at.revision });
    },
    key: (data, state) => groupKey(state, data.group),
  },

  'group.gate': {
    apply(state, data, at) {
      const group = state.groups.get(data.group);
      const { report } = data;
      if (!group || group.endedAt > 0 || !report) return;
      const { phase, state: to, findings, verdict } = report;
      const before = group.gates.find((gate) => gate.phase === phase);
      const said = verdict && { approved: verdict.approved, by: verdict.by, reason: verdict.reason, at: at.time };
      const gate: GateRow = { phase, state: to, findings, reachedAt: before?.reachedAt ?? at.time };
      const gates = [...group.gates.filter((each) => each !== before), said ? { ...gate, verdict: said } : gate];
      const goes = to === 'GATE_STATE_GO' ? group.phase + 1 : group.phase;
      putGroup(state, { ...group, gates, phase: goes, revision: at.revision });
    },
    key: (data, state) => groupKey(state, data.group),
  },

  'group.ending': {
    apply(state, data, at) {
      const group = state.groups.get(data.group);
      if (!group || group.endedAt > 0) return;
      const { state: ending, reason, tallies } = data;
      const change = { ending, reason, revision: at.revision, ...(tallies.length > 0 ? { tallies } : {}) };
      putGroup(state, { ...group, ...change, state: 'GROUP_STATE_ENDING' });
      holdAll(state, data.group, at.revision, settings);
    },
    key: (data, state) => groupKey(state, data.group),
  },

  'group.ended': {
    apply(state, data, at) {
      const group = state.groups.get(data.group);
      if (!group || group.endedAt > 0) return;
      const counts = state.ties.members(group.id)?.counts;
      const { ending: _, ...rest } = group;
      const change = { state: data.state, reason: data.reason, endedAt: at.time, revision: at.revision };
      putGroup(state, { ...rest, ...change, ...(counts ? { counts } : {}) });
    },
    key: (data, state) => groupKey(state, data.group),
  },

  'group.forgotten': {
    apply(state, data) {
      for (const id of data.groups) deleteGroup(state, id);
    },
    key: () => '',
  },
});

export function newGroup(data: GroupSubmitted, at: Stamp): GroupRow {
  const spec = data.spec as GroupSpec;
  return {
    id: data.group,
    spec,
    tasks: data.tasks,
    state: 'GROUP_STATE_RUNNING',
    phase: 0,
    gates: [],
    ...(spec.strategy === 'GROUP_STRATEGY_ADAPTIVE' ? { window: openWindow(spec) } : {}),
    reason: '',
    submittedAt: at.time,
    endedAt: 0,
    submittedBy: data.submittedBy,
    traceparent: data.traceparent,
    order: orderOf(at),
    revision: at.revision,
    ...registered(data),
  };
}

/** What of a group waits for an agent waits for the group again. */
function holdAll(state: PoolState, group: string, revision: number, settings: PoolSettings): void {
  for (const id of state.ties.members(group)?.tasks ?? []) {
    const task = state.tasks.get(id);
    const to = task?.state === 'TASK_STATE_QUEUED' ? next(task.state, 'hold') : undefined;
    if (task && to) putTask(state, taskWith(task, { state: to, revision }), settings);
  }
}

/** `<swarm>.<group>` */
const groupKey = (state: PoolState, id: string): string => `${state.groups.get(id)?.spec.swarm ?? 'unknown'}.${id}`;
