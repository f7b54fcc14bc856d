import type { LendingChange, LendingPolicy } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { PoolState } from './state.ts';

/** What its lending policy would have to say otherwise for a swarm to lend an agent: also the kind of an unblocker. */
export type Refusal = 'open' | 'lend-to' | 'lend-more' | 'keep-less';

/** A swarm that has agents free and does not lend them. */
export interface Keeper {
  readonly swarm: string;
  readonly refusal: Refusal;
  readonly agents: number;
}

/** So many are told of. */
const MAX_KEEPERS = 5;

/** Agents that their swarms do not lend, counted by swarm and by what its policy says. */
export class Keepers {
  readonly #state: PoolState;
  readonly #found = new Map<string, Keeper>();

  constructor(state: PoolState) {
    this.#state = state;
  }

  add(swarm: string, refusal: Refusal, agents = 1): void {
    const key = `${swarm}/${refusal}`;
    this.#found.set(key, { swarm, refusal, agents: agents + (this.#found.get(key)?.agents ?? 0) });
  }

  /** Those that keep most first. */
  get first(): readonly Keeper[] {
    const all = [...this.#found].sort(([a, one], [b, other]) => other.agents - one.agents || (a < b ? -1 : 1));
    return all.slice(0, MAX_KEEPERS).map(([, keeper]) => keeper);
  }

  /** `swarm b does not lend (closed)`, of each. */
  get texts(): string[] {
    return this.first.map(
      ({ swarm, refusal }) => `swarm ${swarm} does not lend (${REFUSALS[refusal](this.#policyOf(swarm))})`,
    );
  }

  /** What the swarm would do, to let an agent of this type go to the borrower: all of a change, in words. */
  remedy({ swarm }: Keeper, { parts }: LendingChange, type: string, borrower: string): string {
    const policy = this.#policyOf(swarm);
    const texts = parts.map((part) => REMEDIES[part as Refusal](policy, type, borrower));
    return `swarm ${swarm} ${texts.join('; and ')}`;
  }

  #policyOf(swarm: string): Policy {
    return this.#state.lending.get(swarm)?.policy ?? { to: [], maxLent: 0, keepPercent: 0 };
  }
}

type Policy = Pick<LendingPolicy, 'to' | 'maxLent' | 'keepPercent'>;

const REFUSALS: Readonly<Record<Refusal, (policy: Policy) => string>> = {
  open: () => 'closed',
  'lend-to': ({ to }) => `to ${to.join(', ')} only`,
  'lend-more': ({ maxLent }) => `at most ${maxLent} at once`,
  'keep-less': ({ keepPercent }) => `keeps ${keepPercent}%`,
};

const REMEDIES: Readonly<Record<Refusal, (policy: Policy, type: string, borrower: string) => string>> = {
  open: () => 'lends again: its lending is closed',
  'lend-to': ({ to }, _type, borrower) => `lends to ${borrower}, too: it lends to ${to.join(', ')} only`,
  'lend-more': ({ maxLent }) => `lends more than ${maxLent} at once`,
  'keep-less': ({ keepPercent }, type) => `keeps less than ${keepPercent}% of its agents of type ${type}`,
};
