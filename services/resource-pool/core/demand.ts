import type { Need } from './need.ts';

/** What an agent is wanted for. */
export interface Demand {
  /** A task of the swarm, or its wish to borrow. */
  readonly kind: 'task' | 'wish';
  readonly swarm: string;
  readonly type: string;
  readonly need: Need;
  /** Of a wish: only from this swarm; empty = any. */
  readonly lender: string;
}
