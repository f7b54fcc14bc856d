import { sameJson } from '../../../libs/kernel/json.ts';
import type { ConsensusRule, Tally } from '../../../libs/wire/hivebus/pool/v1/group.ts';
import type { TaskRow } from './rows.ts';
import { hasEnded } from './task-states.ts';

/**
 * Consensus: the same task is given to several agents, each of which has one vote: its result. Results that are the same
 * JSON are one opinion.
 *
 * - A result with the threshold of all votes wins; by default that is more than half, so there is at most one.
 * - A vote whose task fails is cast for nothing: it counts among all votes.
 * - When none can reach the threshold any more, the rule for ties decides: the group fails, or, once every vote has ended,
 *   the result with most votes wins; of several with as many, the one whose first vote was cast first, then the lowest
 *   vote. When nobody gave a result, the group fails.
 */
export interface Decided {
  readonly won: boolean;
  readonly reason: string;
  /** Every result, the most votes first; the first one won, if any did. */
  readonly tallies: Tally[];
}

interface Opinion {
  readonly result: unknown;
  readonly votes: TaskRow[];
}

/** What the votes, in their order, have decided; undefined = nothing yet. */
export function decideBallot(votes: readonly TaskRow[], rule: ConsensusRule): Decided | undefined {
  const open = votes.filter(({ state }) => !hasEnded(state)).length;
  const opinions = opinionsOf(votes);
  const need = threshold(rule);
  const [best] = opinions;
  const most = best?.votes.length ?? 0;
  if (rule.hearAll && open > 0) return undefined;
  if (best && most >= need) return outcome(opinions, true, `${most} of ${votes.length} votes, ${need} were needed`);
  if (most + open >= need) return undefined;
  const why = `no result can have the ${need} of ${votes.length} votes that it needs; the most is ${most}`;
  if (rule.tie !== 'TIE_RULE_MOST_THEN_FIRST') return outcome(opinions, false, why);
  if (open > 0) return undefined;
  if (!best) return outcome(opinions, false, `none of the ${votes.length} votes gave a result`);
  return outcome(opinions, true, `${most} of ${votes.length} votes, the most; ${need} were needed for a majority`);
}

const threshold = ({ votes, thresholdPercent }: ConsensusRule): number =>
  thresholdPercent === 0 ? Math.floor(votes / 2) + 1 : Math.ceil((votes * thresholdPercent) / 100);

function opinionsOf(votes: readonly TaskRow[]): Opinion[] {
  const opinions: Opinion[] = [];
  for (const vote of votes) {
    if (vote.state !== 'TASK_STATE_SUCCEEDED') continue;
    const result = vote.result ?? null;
    const same = opinions.find((opinion) => sameJson(opinion.result, result));
    if (same) same.votes.push(vote);
    else opinions.push({ result, votes: [vote] });
  }
  const firstAt = ({ votes: cast }: Opinion) => Math.min(...cast.map(({ endedAt }) => endedAt));
  // The sort is stable: of what is equal the one with the lowest vote stays first.
  return opinions.sort((a, b) => b.votes.length - a.votes.length || firstAt(a) - firstAt(b));
}

const outcome = (opinions: readonly Opinion[], won: boolean, reason: string): Decided => ({
  won,
  reason,
  tallies: opinions.map(({ result, votes }, i) => ({
    result,
    tasks: votes.map(({ id }) => id),
    agents: votes.map(({ attempts }) => attempts.at(-1)?.agent ?? ''),
    won: won && i === 0,
  })),
});

const NOBODY: ReadonlySet<string> = new Set();

/** The agents that have, or had, another vote than this one: nobody votes twice. `changed` goes before `voters`. */
export function otherVoters(
  voters: ReadonlyMap<string, string> | undefined,
  changed: ReadonlyMap<string, string> | undefined,
  vote: string,
): ReadonlySet<string> {
  if (!voters) return NOBODY;
  const found = new Set<string>();
  for (const [task, agent] of new Map([...voters, ...(changed ?? [])]))
    if (task !== vote && agent !== '') found.add(agent);
  return found;
}
