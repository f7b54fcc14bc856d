import { systemClock } from '../libs/kernel/clock.ts';
import { HiveError, quote } from '../libs/kernel/errors.ts';
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

/** Names that are longer may have two slips. */
const LONG = 9;
/** Parts of names that are shorter than this are easily alike, and meant so. */
const TELLING = 4;

/** Whether `name` is probably `known`, mistyped. What tells members of a family apart is none: `team-a`, `team-b`, `crew12`. */
export function isSlip(name: string, known: string): boolean {
  if (editsBetween(name, known) > (name.length < LONG ? 1 : 2)) return false;
  const [parts, others] = [name.split('-'), known.split('-')];
  return parts.length !== others.length || parts.some((part, i) => !areKin(part, others[i] ?? ''));
}

const areKin = (a: string, b: string): boolean =>
  a.replace(/\d+/g, '0') === b.replace(/\d+/g, '0') || Math.max(a.length, b.length) < TELLING;
