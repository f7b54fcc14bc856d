import type { Candidate, Choice } from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type { ExplainedChoice, RankedAgent } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { FULL } from './score.ts';

/** What a choice was made of, for people: it is told from what was kept with it, not from how things are now. */

/** In the order of `Candidate.points`. */
const PARTS = [
  { name: 'performance', text: 'performance' },
  { name: 'free', text: 'free slots' },
  { name: 'locality', text: 'where it is' },
  { name: 'specialisation', text: 'specialisation' },
  { name: 'priority', text: 'priority' },
  { name: 'cost', text: 'cost' },
] as const;

export function explainedChoice(choice: Choice | undefined): ExplainedChoice | undefined {
  const [chosen] = choice?.best ?? [];
  if (!choice || !chosen) return undefined;
  return {
    candidates: choice.candidates,
    best: choice.best.map((each) => ranked(each, chosen, choice)),
    policyVersion: choice.policyVersion,
    summary: summaryOf(choice, chosen),
  };
}

function summaryOf({ candidates, waiting, best }: Choice, chosen: Candidate): string {
  const others =
    candidates === 1 ? 'the only agent that could have it' : `one of ${candidates} agents that could have it`;
  if (waiting > 0) {
    const turn =
      waiting === 1 ? 'this request was the only one that waited' : `of ${waiting} requests this one's turn had come`;
    return `${chosen.agent} had become free, ${others}, and ${turn}`;
  }
  if (candidates === 1) return `${chosen.agent} was ${others}`;
  const score =
    pointsOf(chosen) === Math.max(...best.map(pointsOf)) ? 'the highest score' : 'the highest score of the others';
  return `${chosen.agent} had ${score} of ${candidates} agents that could have it`;
}

const pointsOf = ({ points }: Candidate): number => points.reduce((sum, each) => sum + each, 0);

/** Of 1000, as the weights are. */
const thousandths = (points: number): number => points / FULL;

function ranked(each: Candidate, chosen: Candidate, choice: Choice): RankedAgent {
  const [performance = 0, free = 0, locality = 0, specialisation = 0, priority = 0, cost = 0] =
    each.points.map(thousandths);
  return {
    agent: each.agent,
    score: thousandths(pointsOf(each)),
    parts: { performance, free, locality, specialisation, priority, cost },
    behind: each === chosen ? '' : behind(each, chosen, choice),
  };
}

/** What put an agent behind the chosen one: the parts in which it had less, most first. */
function behind(each: Candidate, chosen: Candidate, { waiting }: Choice): string {
  if (each.avoided) return 'had the attempt before';
  const lacks = pointsOf(chosen) - pointsOf(each);
  if (waiting > 0 && lacks < 0) return 'was not the one that had become free';
  if (lacks === 0) return 'has the same score and a later name';
  return PARTS.map(({ text }, i) => ({ text, less: (chosen.points[i] ?? 0) - (each.points[i] ?? 0) }))
    .filter(({ less }) => less > 0)
    .sort((a, b) => b.less - a.less)
    .map(({ text, less }) => `${Number(thousandths(less).toFixed(1))} less for ${text}`)
    .join(', ');
}
