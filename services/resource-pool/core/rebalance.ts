import { counted } from '../../../libs/kernel/counted.ts';
import type {
  RebalanceMove,
  RebalancePlan,
  RebalanceRules,
  Shortage,
  Utilisation,
} from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Plan } from './dispatch.ts';
import { Keepers, type Refusal } from './keepers.ts';
import { meets, type Need } from './need.ts';
import { type Band, type Kind, type Party, type PlannedMove, planBalance } from './rebalance-plan.ts';
import type { AgentRow } from './rows.ts';
import type { PoolState } from './state.ts';
import type { Spot } from './workers.ts';

/** What the planner (rebalance-plan.ts) is told of the state, and its plan as it is told; rebalancing.ts carries it out. */

const DEFAULTS = { lowPercent: 30, highPercent: 90, reservePercent: 10 };
export const NO_RULES: RebalanceRules = {
  ...{ type: '', lowPercent: 0, highPercent: 0, reservePercent: 0 },
  by: 'REBALANCE_BY_UNSPECIFIED',
};

export interface Planned {
  readonly plan: RebalancePlan;
  /** The agents of the moves. */
  readonly rows: readonly AgentRow[];
}

/** `most`: so many moves at most, of all types together. */
export function planFor(state: PoolState, rules: RebalanceRules, most = Infinity): Planned {
  const markets = marketsOf(state, rules.type);
  const moves: RebalanceMove[] = [];
  const rows: AgentRow[] = [];
  const swarms: Utilisation[] = [];
  const shortages: Shortage[] = [];
  let isProved = true;
  for (const type of [...markets.keys()].sort()) {
    const market = markets.get(type) as Market;
    const found = solve(state, market, rules, most - moves.length);
    isProved &&= found.isProved;
    const slotsAfter = slotsAfterMoves(market, found.moves);
    for (const { kind, to } of found.moves) {
      const row = kind.agents.shift();
      if (!row) continue;
      rows.push(row);
      moves.push({
        agent: row.key,
        from: kind.from,
        to,
        reason: reasonOf(market, slotsAfter, kind.from, to, rules),
        id: '',
      });
    }
    swarms.push(...told(type, market, slotsAfter, rules));
    if (found.missing > 0) {
      const kept = keepersOf(state, market, found.moves, new Set(rows)).texts;
      shortages.push({ type, slots: found.missing, kept });
    }
  }
  const missingSlots = shortages.reduce((sum, { slots }) => sum + slots, 0);
  return { plan: { moves, swarms, missingSlots, proved: isProved, shortages }, rows };
}

/** Who has agents free that would do for what waits elsewhere, and would not lend them once the moves are made. */
function keepersOf(
  state: PoolState,
  market: Market,
  moves: readonly PlannedMove[],
  moved: ReadonlySet<AgentRow>,
): Keepers {
  const { lender } = new Plan(state);
  const keepers = new Keepers(state);
  for (const { row, offer } of market.free) {
    if (moved.has(row)) continue;
    const takers = takersOf(market, row, offer);
    if (takers.length === 0) continue;
    const given = moves.filter(({ kind }) => kind.from === row.home).length;
    const refusals = takers.map((swarm) => lender.refusal(row, swarm));
    const refusal = refusals.find((each) => each !== undefined) ?? spent(state, row, given);
    if (refusal) keepers.add(row.home, refusal);
  }
  return keepers;
}

/** Supply and demand of one type of agent. */
interface Market {
  readonly tasks: Map<string, number>;
  readonly slots: Map<string, number>;
  /** What waits for agents of this type, by swarm. */
  readonly needs: Map<string, Need[]>;
  /** Agents at home that can be given away. */
  readonly free: Spot[];
}

/** One walk over all agents and over the lines in which tasks wait: it is asked by people, not by the dispatcher. */
function marketsOf(state: PoolState, only: string): Map<string, Market> {
  const markets = new Map<string, Market>();
  const marketOf = (type: string): Market => {
    const known = markets.get(type);
    if (known) return known;
    const made: Market = { tasks: new Map(), slots: new Map(), needs: new Map(), free: [] };
    markets.set(type, made);
    return made;
  };
  const { lender } = new Plan(state);
  for (const row of state.agents.values()) {
    const spot = only === '' || row.type === only ? state.workers.get(row.key) : undefined;
    const swarm = spot && whoseIs(state, row);
    if (!spot || swarm === undefined) continue;
    const market = marketOf(row.type);
    count(market.slots, swarm, row.slots);
    count(market.tasks, row.serving, spot.busy);
    if (lender.isLendable(spot)) market.free.push(spot);
  }
  for (const { swarm, type, need, count: waiting } of state.queue.depths()) {
    if (only !== '' && type !== only) continue;
    const market = marketOf(type);
    count(market.tasks, swarm, waiting);
    const needs = market.needs.get(swarm);
    if (needs) needs.push(need);
    else market.needs.set(swarm, [need]);
  }
  return markets;
}

/** Whose agent it is about to be; undefined = nobody's. Moves that are under way count as done, or they would be planned again. */
function whoseIs(state: PoolState, row: AgentRow): string | undefined {
  if (row.state === 'AGENT_STATE_UNREACHABLE') return undefined;
  if (row.lameDuck) return row.lameDuck.migration && state.migrations.get(row.lameDuck.migration)?.to;
  return row.draining ? row.home : row.serving;
}

interface AgentKind extends Kind {
  /** The ones with least to do first. */
  readonly agents: AgentRow[];
}

function solve(state: PoolState, market: Market, rules: RebalanceRules, most: number) {
  const { lender, quotas } = new Plan(state);
  const isForGood = rules.by === 'REBALANCE_BY_MIGRATION';
  const swarms = new Set([...market.tasks.keys(), ...market.slots.keys()]);
  const mayHave = (row: AgentRow, to: string) => (isForGood || quotas.mayBorrow(to) ? lender.mayLend(row, to) : false);
  const kinds = new Map<string, AgentKind>();
  const spots = [...market.free].sort((a, b) => a.busy - b.busy || (a.row.key < b.row.key ? -1 : 1));
  for (const { row, offer } of spots) {
    const to = takersOf(market, row, offer).filter((swarm) => mayHave(row, swarm));
    const key = [row.home, row.slots, ...to].join('/');
    const known = kinds.get(key);
    if (known) known.agents.push(row);
    else kinds.set(key, { from: row.home, slots: row.slots, count: 0, to: new Set(to), agents: [row] });
  }
  const counted = [...kinds.values()].map((kind) => ({ ...kind, count: kind.agents.length }));
  const parties = [...swarms].map((swarm): Party => {
    const own = spots.filter(({ row }) => row.home === swarm);
    const most = own[0] ? mayGive(state, own[0].row) : 0;
    const all = isForGood ? own.length - 1 : own.length;
    const mayTake = isForGood ? Infinity : mayBorrow(state, swarm);
    const [demand, slots] = [market.tasks.get(swarm) ?? 0, market.slots.get(swarm) ?? 0];
    return { swarm, demand, slots, mayGive: Math.min(most, all), mayTake };
  });
  const balance = planBalance(parties, counted, bandOf(rules), most);
  return { ...balance, moves: balance.moves as readonly (PlannedMove & { readonly kind: AgentKind })[] };
}

/** Other swarms where something waits that it could do. */
const takersOf = ({ needs }: Market, { home }: AgentRow, offer: Spot['offer']): string[] =>
  [...needs].filter(([swarm, all]) => swarm !== home && all.some((need) => meets(offer, need))).map(([swarm]) => swarm);

const bandOf = ({ lowPercent, highPercent, reservePercent }: RebalanceRules): Band => ({
  low: lowPercent || DEFAULTS.lowPercent,
  high: highPercent || DEFAULTS.highPercent,
  reserve: reservePercent || DEFAULTS.reservePercent,
});

/** How many agents of a type their swarm still lends, by what it says of numbers. */
function mayGive(state: PoolState, { home, type }: AgentRow): number {
  const { most, spare } = roomOf(state, home, type);
  return Math.max(0, Math.min(most, spare));
}

/** What of its home's policy speaks against lending more than `given`; undefined = nothing. */
function spent(state: PoolState, { home, type }: AgentRow, given: number): Refusal | undefined {
  const { most, spare } = roomOf(state, home, type);
  if (given >= most) return 'lend-more';
  return given >= spare ? 'keep-less' : undefined;
}

/** How many more it lends by its policy's number, and by the share that it keeps. */
function roomOf(state: PoolState, home: string, type: string): { most: number; spare: number } {
  const policy = state.lending.get(home)?.policy;
  if (!policy) return { most: Infinity, spare: Infinity };
  const { reachable, lent } = state.workers.stock(home, type);
  const most = policy.maxLent === 0 ? Infinity : policy.maxLent - state.usage.lent.of(home);
  return { most, spare: Math.floor((reachable * (100 - policy.keepPercent)) / 100) - lent };
}

function mayBorrow(state: PoolState, swarm: string): number {
  const max = state.limits.get(swarm)?.maxLeases ?? 0;
  return max === 0 ? Infinity : Math.max(0, max - state.usage.leases.of(swarm));
}

function reasonOf(market: Market, after: Slots, from: string, to: string, rules: RebalanceRules): string {
  const load = (swarm: string): string => {
    const [tasks, slots] = [market.tasks.get(swarm) ?? 0, market.slots.get(swarm) ?? 0];
    return `${counted(tasks, 'task')} for ${slotsText(tasks, slots)}`;
  };
  const then = (swarm: string) => `then for ${slotsText(market.tasks.get(swarm) ?? 0, after.get(swarm) ?? 0)}`;
  return (
    `swarm ${to} has ${load(to)}, over ${bandOf(rules).high}%, ${then(to)}; ` +
    `swarm ${from} has ${load(from)}, ${then(from)}`
  );
}

function slotsText(tasks: number, slots: number): string {
  const share = slots === 0 ? '' : ` (${Math.round((tasks * 100) / slots)}%)`;
  return `${counted(slots, 'slot')}${share}`;
}

/** By swarm. */
type Slots = ReadonlyMap<string, number>;

function slotsAfterMoves(market: Market, moves: readonly PlannedMove[]): Slots {
  const after = new Map(market.slots);
  for (const { kind, to } of moves) {
    count(after, kind.from, -kind.slots);
    count(after, to, kind.slots);
  }
  return after;
}

/** The swarms of which a plan says something. */
function told(type: string, market: Market, after: Slots, rules: RebalanceRules): Utilisation[] {
  const { high } = bandOf(rules);
  return [...new Set([...market.tasks.keys(), ...market.slots.keys()])].sort().flatMap((swarm) => {
    const [tasks, slots] = [market.tasks.get(swarm) ?? 0, market.slots.get(swarm) ?? 0];
    const slotsAfter = after.get(swarm) ?? 0;
    const isTold = slots !== slotsAfter || tasks * 100 > high * slots;
    return isTold ? [{ swarm, type, tasks, slots, slotsAfter }] : [];
  });
}

const count = (counts: Map<string, number>, key: string, by: number): void =>
  void counts.set(key, (counts.get(key) ?? 0) + by);
