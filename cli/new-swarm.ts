import { systemClock } from '../libs/kernel/clock.ts';
import { HiveError, invalid, quote } from '../libs/kernel/errors.ts';
import { isName, NAME_RULE } from '../libs/kernel/names.ts';
import { editsBetween } from '../libs/kernel/nearest.ts';
import type { Hive } from '../libs/sdk/hive.ts';
import { readKey, swarmKeyFile } from '../libs/sdk/keys.ts';
import { untilSettled } from '../libs/sdk/retry.ts';
import type { Context } from './context.ts';
import { keyPlace } from './key-place.ts';
import { allSwarms } from './queries.ts';

/** How long an agent waits at its start for services that are not there yet. */
const START_MS = 15_000;

/**
 * Refuses to make a swarm, and a key of it, whose name is probably a slip: nobody has it, no key of it lies here, and it is
 * nearly a name that somebody has. `isNew`: it is meant as it stands.
 */
export async function requireMeant(context: Context, swarm: string, isNew: boolean): Promise<void> {
  if (!isName(swarm)) throw invalid([{ field: '--swarm', value: quote(swarm), rule: NAME_RULE }]);
  if (isNew || (await readKey(swarmKeyFile(context.home, context.federation, swarm)))) return;
  await using hive = await context.connectAs({ kind: 'anonymous' });
  const names = (await settled(context, () => allSwarms(hive))).map(({ name }) => name);
  const close = names.includes(swarm) ? undefined : names.find((name) => isSlip(swarm, name));
  if (close === undefined) return;
  const text = `swarm ${quote(swarm)} is not registered in ${context.federation}; did you mean ${close}?`;
  throw new HiveError('NOT_FOUND', `${text} To make a new one, add --new-swarm`);
}

/** An agent needs a registered swarm; on a laptop nobody wants to think of that. */
export async function ensureSwarm(context: Context, hive: Hive, swarm: string): Promise<void> {
  try {
    await settled(context, () => hive.registry.getSwarm({ name: swarm }));
  } catch (error) {
    if (!(error instanceof HiveError) || error.code !== 'NOT_FOUND') throw error;
    await hive.registry.registerSwarm({ name: swarm });
    const { federation, output } = context;
    output.note(`swarm ${swarm} is new in ${federation}: registered, with its key in ${keyPlace(context, swarm)}`);
    const isFirst = (await allSwarms(hive)).length === 1;
    if (!isFirst) output.note(`if another was meant: hivebus deregister-swarm ${swarm}`);
  }
}

/** Agents may be started together with the services, or before. */
function settled<T>({ output, signal }: Context, call: () => Promise<T>): Promise<T> {
  const onRetry = (error: HiveError) => output.note(`trying again: ${error.message}`);
  return untilSettled(call, { clock: systemClock, signal, giveUpMs: START_MS, onRetry });
}

/** Words that are shorter are easily alike, and meant so: `us` and `eu`, `api` and `app`. */
const SHORTEST_WORD = 4;
/** In words that are shorter no other letter is taken for a slip: `lead` and `load` are both names. */
const SHORTEST_CHANGED = 5;

/**
 * Whether `name` is probably `known`, mistyped: letters that have changed places, that stand twice, or that are wrong, missing
 * or too many within a word, or another hyphen. Begins, ends and numbers tell names apart that are meant: `blue` and `glue`,
 * `test` and `tests`, `client-a` and `client-b`, `code2`.
 */
export function isSlip(name: string, known: string): boolean {
  if (name === known) return false;
  if (name.replaceAll('-', '') === known.replaceAll('-', '')) return true;
  const [words, others] = [name.split('-'), known.split('-')];
  return words.length === others.length && words.every((word, i) => isSlipOf(word, others[i] ?? ''));
}

function isSlipOf(word: string, other: string): boolean {
  if (word === other) return true;
  if (Math.min(word.length, other.length) < SHORTEST_WORD - 1 || editsBetween(word, other) !== 1) return false;
  const [short, long] = word.length < other.length ? [word, other] : [other, word];
  if (long.length < SHORTEST_WORD || /\d/.test(long) || short[0] !== long[0]) return false;
  const isSwapped = short.length === long.length && sorted(short) === sorted(long);
  return isSwapped || withoutTwins(short) === withoutTwins(long) || isWithin(short, long);
}

const isWithin = (short: string, long: string): boolean =>
  long.length >= SHORTEST_CHANGED && short.at(-1) === long.at(-1);
const sorted = (word: string): string => [...word].sort().join('');
const withoutTwins = (word: string): string => word.replaceAll(/(.)\1+/g, '$1');
