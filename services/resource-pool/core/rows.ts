import type { Effect } from '../../../libs/protocol/machine.ts';
import type { Choice } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type {
  AgentState,
  Artefact,
  LeaseState,
  LendingPolicy,
  MigrationState,
  Outcome,
  Policy,
  RebalancePlan,
  RequestAgentRequest,
  SwarmLimits,
  TaskOrigin,
  TaskSpec,
  TaskState,
} from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { Labels } from './need.ts';

/** The durable rows. Times are machine time in milliseconds since 1970; 0 = has not happened. See whole-rows.ts, too. */

/** What belongs to one registration of a swarm, and ends with it: whoever registers the name next has no part in it. */
export interface Registered {
  /** When the swarm registered, as the registry says it; not there in rows that are older than this field. */
  readonly registration?: string;
}

/** The part of a row that an event of it tells, or does not if it is older. */
export const registered = ({ registration }: { readonly registration?: string }): Registered =>
  registration ? { registration } : {};

export interface AgentRow extends Registered {
  /** `<home>/<name>`: its key in the table. */
  readonly key: string;
  readonly home: string;
  readonly name: string;
  readonly type: string;
  readonly capabilities: readonly string[];
  readonly slots: number;
  /** This run of the agent. Attempts of another are fenced off. */
  readonly instance: string;
  readonly allowScripts: boolean;
  readonly region: string;
  readonly priority: number;
  readonly labels: Labels;
  readonly specialisations: readonly string[];
  readonly cost: number;
  /** The swarm's key that its tokens must be signed with. */
  readonly ownerKey: string;
  readonly state: AgentState;
  readonly stateSince: number;
  /** The lease that has it now; empty = at home. */
  readonly lease: string;
  /** Whose tasks it is given: its home's, or the borrower's. */
  readonly serving: string;
  /** Its lease is over: it finishes what runs for the borrower and gets nothing new. */
  readonly draining: boolean;
  /** It is being taken out of service; not there when it is not. See draining.ts. */
  readonly lameDuck?: LameDuck;
  readonly revision: number;
}

/** This run of an agent is given nothing new. */
export interface LameDuck {
  readonly since: number;
  /** How long what it runs may go on, in milliseconds. */
  readonly graceMs: number;
  /** Nothing of it runs any more. */
  readonly isDrained: boolean;
  readonly reason: string;
  /** It moves to another swarm then, by this migration; not there in older rows: to which. */
  readonly migration?: string;
  readonly to?: string;
}

/** An agent's move to another swarm; `registration` is the other swarm's. */
export interface MigrationRow extends Registered {
  readonly id: string;
  readonly agent: string;
  readonly from: string;
  readonly to: string;
  /** Its name there. */
  readonly name: string;
  readonly state: MigrationState;
  readonly graceMs: number;
  /** Who asked first; not there in older rows. */
  readonly by?: string;
  readonly reason: string;
  /** Which of the two swarms agree. */
  readonly given: boolean;
  readonly taken: boolean;
  readonly startedAt: number;
  /** When it came into its state. */
  readonly since: number;
  readonly endedAt: number;
  readonly traceparent: string;
  readonly correlationId: string;
  /** Rises with age, see `orderOf`. */
  readonly order: number;
  readonly revision: number;
}

export interface LeaseRow extends Registered {
  readonly id: string;
  readonly agent: string;
  readonly lender: string;
  readonly borrower: string;
  readonly termMs: number;
  readonly state: LeaseState;
  /** While it drains: how it will have ended. */
  readonly ending: LeaseState;
  /** While it drains: since when, and how long what runs may go on; not there = as long as it takes. */
  readonly notice?: { readonly since: number; readonly ms: number };
  readonly grantedAt: number;
  /** When its term began: the grant or the last renewal. */
  readonly since: number;
  readonly endedAt: number;
  readonly reason: string;
  /** Why this agent was chosen; not there when that was not kept. */
  readonly choice?: Choice;
  /** The borrower's task for which the idle agent was taken; not there when the lease was asked for. See stealing.ts. */
  readonly task?: string;
  /** Why the agent was lent although nobody asked; not there when somebody did. */
  readonly why?: string;
  /** Rises with age, see `orderOf`. */
  readonly order: number;
  readonly revision: number;
}

/** A request for an agent that waits. It leaves when it is granted, taken back, or out of time. */
export interface RequestRow extends Registered {
  readonly id: string;
  readonly wish: RequestAgentRequest;
  readonly queuedAt: number;
  /** Rises with age, see `orderOf`. */
  readonly order: number;
  readonly revision: number;
}

/** How much of others' agents a swarm has had: see fair-share.ts. */
export interface ShareRow {
  readonly served: number;
}

export interface AttemptRow {
  readonly number: number;
  readonly agent: string;
  readonly instance: string;
  readonly lease: string;
  readonly assignedAt: number;
  readonly startedAt: number;
  readonly endedAt: number;
  readonly outcome: Outcome;
  readonly reason: string;
  /** The public key that its log lines are signed with; not there when they are not signed. */
  readonly logKey?: string;
  /** How long after its end its agent may still hold the claim, in ms; not there when it does not. */
  readonly claimMs?: number;
}

export interface TaskRow extends Registered {
  readonly id: string;
  readonly spec: TaskSpec;
  readonly state: TaskState;
  /** Oldest first. The last one is current while the task is ASSIGNED or RUNNING; all others have ended. */
  readonly attempts: readonly AttemptRow[];
  /** While it waits before its next attempt: when that may be given out. Not there when it waits for an agent alone. */
  readonly notBefore?: number;
  /** What was said of it, when it needs somebody's yes; not there before. */
  readonly verdict?: VerdictRow;
  /** When its wait before an attempt was over; not there when there was none before the one that is next. */
  readonly readySince?: number;
  /** Why the agent of the last attempt was chosen; not there when that was not kept. */
  readonly choice?: Choice;
  /** When idle agents of other swarms were last allowed to take it, and for which attempt; `to`: those of this swarm alone. */
  readonly offered?: { readonly at: number; readonly attempt: number; readonly to?: string };
  /** The one accepted result. */
  readonly result?: unknown;
  readonly reason: string;
  readonly cancelRequestedAt: number;
  readonly submittedAt: number;
  readonly endedAt: number;
  readonly submittedBy: string;
  readonly traceparent: string;
  readonly correlationId: string;
  readonly hops: number;
  /** The host that its volumes are on; not there when it has none, or none yet. */
  readonly host?: string;
  /** What it was made from; not there when from nothing. */
  readonly origin?: TaskOrigin;
  /** The task whose budget counts for it, itself or one above; not there when none does. */
  readonly budget?: string;
  /** How many hops of delegation it is below the topmost task that has a budget. */
  readonly depth?: number;
  /** Rises with age, see `orderOf`. */
  readonly order: number;
  readonly revision: number;
}

export interface VerdictRow {
  readonly approved: boolean;
  readonly by: string;
  readonly reason: string;
  readonly at: number;
}

/** Owed to an agent's instance: the news of an assignment, or that it must end an attempt. */
export interface DeliveryRow extends Effect {
  /** bury: owed to the dead-letter stream, and to no agent. */
  readonly kind: 'assign' | 'cancel' | 'bury';
  readonly task: string;
  readonly attempt: number;
  readonly agent: string;
  readonly instance: string;
}

/** How far a task's attempts have come: its last checkpoint. It leaves with the task's end. */
export interface CheckpointRow {
  readonly task: string;
  /** The attempt that stored it. */
  readonly attempt: number;
  /** Counts the task's checkpoints from 1. */
  readonly number: number;
  readonly data: unknown;
  /** The size of the data as JSON. */
  readonly bytes: number;
  readonly savedAt: number;
}

/** What a task's last attempt has stored. It stays as long as the task. */
export interface ArtefactsRow {
  readonly items: readonly Artefact[];
}

/** What is used of a task's budget; see budget.ts. It stays as long as a task refers to it. */
export interface BudgetRow {
  readonly task: string;
  /** The budget that it is a part of; empty = of none. */
  readonly parent: string;
  /** Units; 0 = no limit. */
  readonly spend: number;
  /** Hops below its task; 0 = no limit. */
  readonly hops: number;
  readonly used: number;
  /** Its task's. */
  readonly depth: number;
}

/** A task that has failed, as it ended. */
export interface DeadLetterRow {
  readonly row: TaskRow;
  /** About how large it is, in characters. */
  readonly size: number;
  /** Rises with age, see `orderOf`. */
  readonly order: number;
  /** The tasks that were made from it. */
  readonly replays: readonly string[];
}

/** How well an agent has done; it has no row before its first attempt has ended. All are integers. */
export interface MeasureRow {
  /** Its success rate, in millionths: a running mean that forgets. */
  readonly success: number;
  /** How long it takes as a multiple of its type's mean, in thousandths: a running mean that forgets. */
  readonly slowness: number;
  /** The attempts that this rests on. */
  readonly samples: number;
}

/** How long an attempt at a type of task takes that succeeds; it has no row before the first. */
export interface NormRow {
  /** A running mean that forgets, in microseconds, an integer. */
  readonly meanUs: number;
  readonly samples: number;
}

/** The federation's policy; the one row of its table. Not there as long as nobody has changed it. */
export type PolicyRow = Policy;
export const POLICY_KEY = 'policy';

/** What the pool does by itself about swarms that are out of balance; the one row of its table. See rebalancing.ts. */
export interface BalanceRow {
  /** When it looked last, or the rules were set. */
  readonly lookedAt: number;
  /** How many looks in a row have found something to move, and moved nothing yet. */
  readonly looks: number;
  /** What the last one found, for people; empty = there was none since the rules were set. */
  readonly found: string;
  /** When and how it moved agents last; not there when it never did. */
  readonly last?: { readonly at: number; readonly plan: RebalancePlan };
}
export const BALANCE_KEY = 'balance';

/** What a swarm may use; not there as long as nobody has said. */
export type LimitsRow = SwarmLimits;

/** What a swarm lends; not there as long as it has not said. */
export interface LendingRow extends Registered {
  readonly policy: LendingPolicy;
}

/** When a swarm's next task would be due at its rate, in microseconds since 1970: see limits.ts. */
export interface RateRow {
  readonly dueUs: number;
}

/** Places that one record has for events, at most. */
const ORDERS_PER_RECORD = 65_536;

/** Where something began in the journal: rises with every event, and is exact up to revision 10^11. */
export const orderOf = (at: { readonly revision: number; readonly index: number }): number =>
  at.revision * ORDERS_PER_RECORD + at.index;

/** Does it wait before its next attempt, and not for an agent? */
export const isDelayed = (task: TaskRow): boolean => task.state === 'TASK_STATE_QUEUED' && task.notBefore !== undefined;

/** May a task that was held back be given out at `now`? What a claim may still keep from it is looked at when it is due. */
export const waitIsOver = ({ notBefore, attempts }: TaskRow, now: number): boolean =>
  notBefore === undefined || (notBefore <= now && attempts.at(-1)?.claimMs === undefined);

/** Since when a waiting task waits for an agent. */
export const queuedSince = (task: TaskRow): number =>
  task.readySince ?? task.attempts.at(-1)?.endedAt ?? task.submittedAt;

export const agentKey = (swarm: string, name: string): string => `${swarm}/${name}`;

/** The attempt that runs or is about to; undefined when the task waits or has ended. */
export function currentAttempt(task: TaskRow): AttemptRow | undefined {
  return task.state === 'TASK_STATE_ASSIGNED' || task.state === 'TASK_STATE_RUNNING' ? task.attempts.at(-1) : undefined;
}
