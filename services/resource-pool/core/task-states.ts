import type { TaskState } from '../../../libs/wire/hivebus/pool/v1/pool.ts';

/** What can happen to a task; each is brought about by one type of event. */
export type Step =
  | 'release'
  | 'approve'
  | 'hold'
  | 'assign'
  | 'ready'
  | 'offer'
  | 'start'
  | 'retry'
  | 'cancel'
  | 'succeed'
  | 'fail'
  | 'end-cancelled';

/**
 * A task's life. What is not listed cannot happen: decisions never bring it about, and applying it changes nothing.
 *
 *     BLOCKED ──release──► QUEUED ──assign──► ASSIGNED ──start──► RUNNING ──► SUCCEEDED | FAILED | CANCELLED
 *        ▲                  │ ▲                  │                   │
 *        └──────hold────────┤ └──────retry───────┴───────────────────┤
 *                           └──────hold (its group is paused)────────┘
 *
 * A task begins as BLOCKED when it has ties to others, else as QUEUED.
 * A task that is tried again may have to wait first; `ready` ends that. One that has waited long may be offered to agents of other swarms. An assigned task may end without `start`: its agent may have begun although its confirmation was lost.
 */
const TRANSITIONS: Readonly<Record<TaskState, Readonly<Partial<Record<Step, TaskState>>>>> = {
  TASK_STATE_UNSPECIFIED: {},
  TASK_STATE_BLOCKED: {
    release: 'TASK_STATE_QUEUED',
    approve: 'TASK_STATE_BLOCKED',
    fail: 'TASK_STATE_FAILED',
    'end-cancelled': 'TASK_STATE_CANCELLED',
  },
  TASK_STATE_QUEUED: {
    assign: 'TASK_STATE_ASSIGNED',
    ready: 'TASK_STATE_QUEUED',
    offer: 'TASK_STATE_QUEUED',
    hold: 'TASK_STATE_BLOCKED',
    fail: 'TASK_STATE_FAILED',
    'end-cancelled': 'TASK_STATE_CANCELLED',
  },
  TASK_STATE_ASSIGNED: {
    start: 'TASK_STATE_RUNNING',
    retry: 'TASK_STATE_QUEUED',
    hold: 'TASK_STATE_BLOCKED',
    cancel: 'TASK_STATE_ASSIGNED',
    succeed: 'TASK_STATE_SUCCEEDED',
    fail: 'TASK_STATE_FAILED',
    'end-cancelled': 'TASK_STATE_CANCELLED',
  },
  TASK_STATE_RUNNING: {
    retry: 'TASK_STATE_QUEUED',
    hold: 'TASK_STATE_BLOCKED',
    cancel: 'TASK_STATE_RUNNING',
    succeed: 'TASK_STATE_SUCCEEDED',
    fail: 'TASK_STATE_FAILED',
    'end-cancelled': 'TASK_STATE_CANCELLED',
  },
  TASK_STATE_SUCCEEDED: {},
  TASK_STATE_FAILED: {},
  TASK_STATE_CANCELLED: {},
};

/** The state that a step leads to; undefined when the step is not possible. */
export const next = (state: TaskState, step: Step): TaskState | undefined => TRANSITIONS[state][step];

export const hasEnded = (state: TaskState): boolean =>
  state === 'TASK_STATE_SUCCEEDED' || state === 'TASK_STATE_FAILED' || state === 'TASK_STATE_CANCELLED';

const ENDINGS: Partial<Record<TaskState, Step>> = {
  TASK_STATE_SUCCEEDED: 'succeed',
  TASK_STATE_FAILED: 'fail',
  TASK_STATE_CANCELLED: 'end-cancelled',
};

/** The step that ends a task in `state`; undefined when `state` is no end. */
export const stepTo = (state: TaskState): Step | undefined => ENDINGS[state];
