import type { Policy } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { Offer, Wish } from './need.ts';
import type { AgentRow, MeasureRow } from './rows.ts';

/**
 * How good an agent is for a wish: a weighted sum of parts, each 0 to FULL. Everything is an integer, so that the order
 * of agents is exactly the same wherever it is computed.
 *
 * The sum falls into two. What depends on the wish (locality, specialisation) is the same for all agents of a class:
 * `fit`, judged once for a class and wish. What depends on the agent alone is its `rank`, by which a class keeps its
 * free agents in order. It changes only when something happens to that agent, or the policy does.
 */

/** A part that could not be better; a whole score is at most 1000 times this. */
export const FULL = 10_000;

const MAX_PRIORITY = 1000;
/** A success rate of 1, in `MeasureRow.success`. */
export const ALWAYS = 1_000_000;
/** As long as the type takes on average, in `MeasureRow.slowness`. */
export const AVERAGE = 1000;

/**
 * What is believed of an agent that has done nothing yet: three of four attempts succeed, in the average time. So it
 * stands behind one that is proven and before one that often fails.
 */
export const PRIOR: Pick<MeasureRow, 'success' | 'slowness' | 'samples'> = {
  success: 0.75 * ALWAYS,
  slowness: AVERAGE,
  samples: 0,
};

/** A minute of waiting makes up for one point of priority. */
export const DEFAULT_AGEING_MS = 60_000;

export const DEFAULT_POLICY: Policy = {
  weights: { performance: 250, free: 250, locality: 300, specialisation: 100, priority: 50, cost: 50 },
  typicalCost: 100,
  ageingMs: DEFAULT_AGEING_MS,
  stealAfterMs: 0,
  version: '1',
  setBy: '',
};

type Weights = NonNullable<Policy['weights']>;

/** An agent, and how many of its slots are in use. */
interface Scored {
  readonly row: Pick<AgentRow, 'slots' | 'priority' | 'cost'>;
  readonly offer: Offer;
  readonly busy: number;
}

/** The rules of one federation, as the policy in force has them. */
export class Scoring {
  #weights = DEFAULT_POLICY.weights as Weights;
  #typicalCost = DEFAULT_POLICY.typicalCost;
  #version = DEFAULT_POLICY.version;

  /** The policy's version. */
  get version(): string {
    return this.#version;
  }

  use(policy: Policy): void {
    this.#weights = policy.weights as Weights;
    this.#typicalCost = policy.typicalCost;
    this.#version = policy.version;
  }

  /** The part of a rank that does not change with the agent's load. */
  merit(agent: Pick<AgentRow, 'priority' | 'cost'>, measure: Pick<MeasureRow, 'success' | 'slowness'> = PRIOR): number {
    const { performance, priority, cost } = this.#weights;
    const cheapness = share(this.#typicalCost, this.#typicalCost + agent.cost);
    return performance * performed(measure) + priority * share(agent.priority, MAX_PRIORITY) + cost * cheapness;
  }

  /** What an agent counts with so many slots in use, besides how its class fits. */
  rank(merit: number, busy: number, slots: number): number {
    return merit + this.#weights.free * share(slots - busy, slots);
  }

  /** What an agent of a class counts for a wish, besides its rank. */
  fit(offer: Offer, wish: Wish): number {
    const { locality, specialisation } = this.#weights;
    return locality * near(offer, wish) + specialisation * skilled(offer, wish);
  }

  /** An agent's score by part, in the order of PlacementWeights: together they are its fit and its rank. */
  points(
    { row, offer, busy }: Scored,
    wish: Wish,
    measure: Pick<MeasureRow, 'success' | 'slowness'> = PRIOR,
  ): number[] {
    const { performance, free, locality, specialisation, priority, cost } = this.#weights;
    return [
      performance * performed(measure),
      free * share(row.slots - busy, row.slots),
      locality * near(offer, wish),
      specialisation * skilled(offer, wish),
      priority * share(row.priority, MAX_PRIORITY),
      cost * share(this.#typicalCost, this.#typicalCost + row.cost),
    ];
  }
}

const share = (part: number, whole: number): number => Math.trunc((part * FULL) / whole);

/** Success rate times speed: 1 would be always and in no time, always in the average time is a half. */
const performed = ({ success, slowness }: Pick<MeasureRow, 'success' | 'slowness'>): number =>
  Math.trunc((success * FULL * AVERAGE) / (ALWAYS * (AVERAGE + slowness)));

function near(offer: Offer, wish: Wish): number {
  if (offer.home === wish.swarm) return FULL;
  return wish.region !== '' && offer.region === wish.region ? FULL / 2 : 0;
}

function skilled(offer: Offer, { specialisations }: Wish): number {
  if (specialisations.length === 0) return FULL;
  if (offer.specialisations.size === 0) return 0;
  let met = 0;
  for (const each of specialisations) if (offer.specialisations.has(each)) met++;
  return share(met, specialisations.length);
}
