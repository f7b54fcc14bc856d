import type {
  Finding,
  GateState,
  GroupCounts,
  GroupSpec,
  GroupState,
  Tally,
} from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { Registered, VerdictRow } from './rows.ts';

/** The rows of groups. Times as in rows.ts. */

/** A gate that was reached. */
export interface GateRow {
  /** Its phase's name. */
  readonly phase: string;
  readonly state: GateState;
  readonly findings: readonly Finding[];
  readonly reachedAt: number;
  readonly verdict?: VerdictRow;
}

/** How an adaptive group goes: see group-window.ts. */
export interface WindowRow {
  /** How many tasks may be in hand, in thousandths. */
  readonly size: number;
  /** When it was cut last: what was given out before is no news of how things are since. */
  readonly cutAt: number;
  /** Running means of what an attempt that succeeds takes, in ms: of long and of late. */
  readonly longMs: number;
  readonly shortMs: number;
  readonly samples: number;
}

export interface GroupRow extends Registered {
  readonly id: string;
  readonly spec: GroupSpec;
  /** How many tasks it was submitted with; more may have been added. */
  readonly tasks: number;
  readonly state: GroupState;
  /** Index of the phase that it is in; as many as there are = all are over. Without phases there is one, 0. */
  readonly phase: number;
  /** Oldest first; of each phase at most one. */
  readonly gates: readonly GateRow[];
  /** Of an adaptive group. */
  readonly window?: WindowRow;
  /** While ENDING: how it will have ended. */
  readonly ending?: GroupState;
  /** Of one by consensus that was decided. */
  readonly tallies?: readonly Tally[];
  /** Once it has ended: its tasks may be forgotten before it is. */
  readonly counts?: GroupCounts;
  readonly reason: string;
  readonly submittedAt: number;
  readonly endedAt: number;
  readonly submittedBy: string;
  readonly traceparent: string;
  /** Rises with age, see `orderOf`. */
  readonly order: number;
  readonly revision: number;
}
