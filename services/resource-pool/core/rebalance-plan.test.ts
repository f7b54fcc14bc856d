import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { seeded } from '../../../libs/kernel/rng.ts';
import { type Band, type Kind, type Party, planBalance, slotsFor } from './rebalance-plan.ts';

const BAND: Band = { low: 30, high: 90, reserve: 10 };

interface Agent {
  readonly from: string;
  readonly slots: number;
  readonly to: ReadonlySet<string>;
}

const party = (swarm: string, demand: number, slots: number, mayGive = 100, mayTake = 1000): Party => ({
  swarm,
  demand,
  slots,
  mayGive,
  mayTake,
});
const kind = (from: string, slots: number, count: number, to: readonly string[]): Kind => ({
  ...{ from, slots, count },
  to: new Set(to),
});

/** Tries every way to send every agent anywhere; what is allowed is said here a second time, by its meaning. */
function byForce(parties: readonly Party[], agents: readonly Agent[], band: Band): [missing: number, moves: number] {
  const names = parties.map(({ swarm }) => swarm);
  const isAbove = (each: Party) => each.demand * 100 > band.high * each.slots;
  let best: [number, number] = [Infinity, Infinity];
  const visit = (index: number, places: readonly string[]): void => {
    const agent = agents[index];
    if (agent) {
      for (const place of names) {
        if (place === agent.from || agent.to.has(place)) visit(index + 1, [...places, place]);
      }
      return;
    }
    let missing = 0;
    let moves = 0;
    for (const each of parties) {
      const gone = agents.filter(({ from }, i) => from === each.swarm && places[i] !== from);
      const come = agents.filter(({ from }, i) => from !== each.swarm && places[i] === each.swarm);
      const sum = (list: readonly Agent[]) => list.reduce((total, { slots }) => total + slots, 0);
      const after = each.slots - sum(gone) + sum(come);
      moves += come.length;
      if (isAbove(each) ? gone.length > 0 : come.length > 0) return;
      if (come.length > 0 && each.demand * 100 < band.low * after) return;
      if (gone.length > each.mayGive || come.length > each.mayTake) return;
      if (gone.length > 0 && each.demand * 100 > (band.high - band.reserve) * after) return;
      if (isAbove(each)) missing += Math.max(0, slotsFor(each.demand, band.high) - after);
    }
    if (missing < best[0] || (missing === best[0] && moves < best[1])) best = [missing, moves];
  };
  visit(0, []);
  return best;
}

const agentsOf = (kinds: readonly Kind[]): Agent[] =>
  kinds.flatMap(({ from, slots, count, to }) => Array.from({ length: count }, () => ({ from, slots, to })));

describe('a plan', () => {
  test('sends what is missing, from the emptiest', () => {
    const parties = [party('a', 9, 4), party('b', 1, 10), party('c', 4, 10)];
    const kinds = [kind('b', 1, 10, ['a']), kind('c', 1, 10, ['a'])];
    const { moves, missing, isProved } = planBalance(parties, kinds, BAND);
    expect([missing, isProved]).toEqual([0, true]);
    expect(moves.map(({ kind: { from }, to }) => `${from}>${to}`)).toEqual(Array(6).fill('b>a'));
  });

  test('sends nothing within the band, nor when nobody needs what lies idle', () => {
    const kinds = [kind('b', 1, 10, ['a'])];
    expect(planBalance([party('a', 3, 4), party('b', 0, 10)], kinds, BAND).moves).toEqual([]);
    expect(planBalance([party('a', 0, 4), party('b', 0, 10)], kinds, BAND).moves).toEqual([]);
  });

  test('says what is missing when there is too little, and keeps what a swarm may not give', () => {
    const plan = planBalance([party('a', 30, 4), party('b', 0, 10, 3)], [kind('b', 1, 10, ['a'])], BAND);
    expect([plan.moves.length, plan.missing]).toEqual([3, 34 - 4 - 3]);
  });

  test('of large and small agents takes the fewest', () => {
    const kinds = [kind('b', 1, 6, ['a']), kind('c', 4, 2, ['a'])];
    const plan = planBalance([party('a', 9, 5), party('b', 0, 6), party('c', 0, 8)], kinds, BAND);
    expect([plan.moves.length, plan.moves[0]?.kind.slots, plan.missing]).toEqual([2, 4, 0]);
  });

  test('of hundreds of swarms is found at once where agents are alike', () => {
    const parties = Array.from({ length: 200 }, (_, i) => party(`s${i}`, i % 2 === 0 ? 12 : 1, 10));
    const all = parties.map(({ swarm }) => swarm);
    const kinds = all.filter((_, i) => i % 2 === 1).map((from) => kind(from, 1, 10, all));
    const plan = planBalance(parties, kinds, BAND);
    expect(plan.moves.length).toBe(256);
    const half = planBalance(parties.slice(0, 100), kinds, BAND);
    expect([half.moves.length, half.missing, half.isProved]).toEqual([200, 0, true]);
  });
});

const small = fc.record({
  parties: fc.array(
    fc.record({ demand: fc.nat({ max: 12 }), mayGive: fc.nat({ max: 3 }), mayTake: fc.nat({ max: 4 }) }),
    {
      minLength: 2,
      maxLength: 4,
    },
  ),
  agents: fc.array(
    fc.record({ from: fc.nat({ max: 3 }), slots: fc.constantFrom(1, 1, 2, 3), to: fc.array(fc.nat({ max: 3 })) }),
    { minLength: 1, maxLength: 6 },
  ),
  low: fc.constantFrom(0, 20, 40),
  reserve: fc.constantFrom(0, 10, 30),
});

/** Swarms and their agents, in the form of the planner. */
function built({
  parties: given,
  agents,
}: {
  parties: { demand: number; mayGive: number; mayTake: number }[];
  agents: { from: number; slots: number; to: number[] }[];
}) {
  const nameOf = (index: number) => `s${index % given.length}`;
  const kinds = agents.map(({ from, slots, to }) => {
    const others = to.map(nameOf).filter((swarm) => swarm !== nameOf(from));
    return kind(nameOf(from), slots, 1, others);
  });
  const slotsOf = (swarm: string) => kinds.reduce((sum, each) => sum + (each.from === swarm ? each.slots : 0), 0);
  const parties = given.map(({ demand, mayGive, mayTake }, i) =>
    party(`s${i}`, demand, slotsOf(`s${i}`), mayGive, mayTake),
  );
  return { parties, kinds };
}

test('no way to send agents is better, and none as good has fewer moves', () => {
  fc.assert(
    fc.property(small, ({ low, reserve, ...given }) => {
      const { parties, kinds } = built(given);
      const band = { low, high: 90, reserve };
      const { moves, missing, isProved } = planBalance(parties, kinds, band);
      expect(isProved).toBe(true);
      expect([missing, moves.length]).toEqual(byForce(parties, agentsOf(kinds), band));
    }),
    { numRuns: 300 },
  );
});

/** A federation of swarms with one-slot agents, after plan upon plan. */
class Swarms {
  readonly homes = new Map<string, number>();

  constructor(names: readonly string[], each: number) {
    for (const name of names) this.homes.set(name, each);
  }

  /** Carries out a plan for a load; the moves as `from>to`. */
  balance(demands: ReadonlyMap<string, number>): string[] {
    const all = [...this.homes.keys()];
    const parties = all.map((name) => party(name, demands.get(name) ?? 0, this.homes.get(name) ?? 0));
    const kinds = all.map((name) =>
      kind(
        name,
        1,
        this.homes.get(name) ?? 0,
        all.filter((other) => other !== name),
      ),
    );
    const { moves } = planBalance(parties, kinds, BAND);
    for (const {
      kind: { from },
      to,
    } of moves) {
      this.homes.set(from, (this.homes.get(from) ?? 0) - 1);
      this.homes.set(to, (this.homes.get(to) ?? 0) + 1);
    }
    return moves.map(({ kind: { from }, to }) => `${from}>${to}`);
  }
}

test('a plan of so many moves at most is the best of those, and the next one goes on from there', () => {
  const parties = [party('a', 40, 2), party('b', 0, 20), party('c', 0, 20)];
  const kinds = [kind('b', 1, 20, ['a']), kind('c', 1, 20, ['a'])];
  const { moves, missing, isProved } = planBalance(parties, kinds, BAND, 3);
  expect([moves.length, missing, isProved]).toEqual([3, slotsFor(40, BAND.high) - 2 - 3, true]);
  expect(planBalance(parties, kinds, BAND, 0)).toMatchObject({ moves: [], missing: slotsFor(40, BAND.high) - 2 });
});

test('no flapping: a load that stays is balanced once, and one that only trembles sends no agent back', () => {
  const loads = fc.array(fc.integer({ min: 0, max: 80 }), { minLength: 2, maxLength: 6 });
  fc.assert(
    fc.property(loads, fc.integer(), (means, seed) => {
      const names = means.map((_, i) => `s${i}`);
      const swarms = new Swarms(names, 40);
      const random = seeded(seed);
      // Towards the mean: rounded to the nearest, a twentieth of a small load would be more than the reserve.
      const tremble = (mean: number, jitter: number) => mean + Math.trunc(mean * jitter * (2 * random() - 1));
      const at = (jitter: number) => new Map(names.map((name, i) => [name, tremble(means[i] ?? 0, jitter)]));
      swarms.balance(at(0));
      expect(swarms.balance(at(0))).toEqual([]);
      const gave = new Set<string>();
      const took = new Set<string>();
      for (let round = 0; round < 50; round++) {
        // By a twentieth up or down: less than the reserve of a tenth.
        for (const move of swarms.balance(at(0.05))) {
          const [from = '', to = ''] = move.split('>');
          gave.add(from);
          took.add(to);
        }
      }
      expect([...gave].filter((name) => took.has(name))).toEqual([]);
    }),
    { numRuns: 100 },
  );
});
