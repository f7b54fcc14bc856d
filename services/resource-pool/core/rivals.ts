import type { Demand } from './demand.ts';
import { meets, type Need, needKey, type Offer } from './need.ts';
import type { PoolState } from './state.ts';

/**
 * What goes before something that waits may want quite other agents. Rivals are those that could take an agent that this
 * one could have, too: one of its type that is there now, whatever it does at the moment, and where nobody is there that
 * it could have, any that would do for it.
 */

/** Tasks of one kind, or a request, that go before. */
export interface Before {
  readonly swarm: string;
  readonly need: Need;
  /** Of a request: only from this swarm; empty = any. */
  readonly lender: string;
  readonly count: number;
}

/** So many comparisons of an agent's class with a need, at most: people ask, and the leader answers between two records. */
const MAX_LOOKS = 100_000;

/** How many of those before are rivals; undefined = there is too much to compare. */
export function rivalsOf(state: PoolState, demand: Demand, before: readonly Before[]): number | undefined {
  const offers = before.length === 0 ? [] : offersFor(state, demand);
  const known = new Map<string, boolean>();
  let rivals = 0;
  for (const each of before) {
    const key = `${each.swarm}/${each.lender}/${needKey(each.need)}`;
    let isRival = known.get(key);
    if (isRival === undefined) {
      if (known.size * offers.length > MAX_LOOKS) return undefined;
      isRival = offers.some((offer) => couldTake(each, demand.kind, offer));
      known.set(key, isRival);
    }
    if (isRival) rivals += each.count;
  }
  return rivals;
}

/** Classes of agents that the demand could have; none there: the least agent that would do. */
function offersFor(state: PoolState, { kind, swarm, type, lender, need }: Demand): Offer[] {
  const found = new Set<Offer>();
  for (const row of state.agents.values()) {
    if (row.type !== type) continue;
    const isThere = kind === 'task' ? row.home === swarm || row.serving === swarm : mayLend(row.home, swarm, lender);
    const offer = isThere ? state.workers.get(row.key)?.offer : undefined;
    if (offer && meets(offer, need)) found.add(offer);
  }
  if (found.size > 0) return [...found];
  const { capabilities, labels, script: allowScripts } = need;
  return [
    { home: lender, region: '', capabilities: new Set(capabilities), labels, specialisations: new Set(), allowScripts },
  ];
}

const couldTake = ({ swarm, need, lender }: Before, kind: Demand['kind'], offer: Offer): boolean =>
  (kind === 'task' || mayLend(offer.home, swarm, lender)) && meets(offer, need);

const mayLend = (home: string, borrower: string, lender: string): boolean =>
  home !== borrower && (lender === '' || home === lender);
