import { HiveError } from '../../libs/kernel/errors.ts';
import { MAIN, sameSettings } from './core/federation.ts';
import type { FederationSettings } from './core/state.ts';
import type { FederationUnit, Log } from './federation-unit.ts';
import { internalCall } from './liveness-monitor.ts';

/** What `main` itself begins with. */
const FIRST_SETTINGS: FederationSettings = {
  name: MAIN,
  description: '',
  joinPolicy: 'JOIN_POLICY_OPEN',
  removeAfterMs: 0,
};

/**
 * Makes each federation's settings in its own journal what they are in `main`, and makes `main`, where this replica
 * leads. Each journal decides by its own settings only, so that it needs no other to be decided and replayed.
 */
export async function handOverSettings(
  units: readonly [federation: string, unit: FederationUnit][],
  signal: AbortSignal,
  log: Log,
): Promise<void> {
  const main = units.find(([federation]) => federation === MAIN)?.[1];
  if (!main || !isServing(main)) return;
  // By queries: on a leader the state itself may be ahead of the commit, and what is handed over must not be.
  const settingsIn = async ({ journal }: FederationUnit, name: string): Promise<FederationSettings | undefined> =>
    (await journal.query('settings', { name }, internalCall(journal.federation, 'settings', signal))).settings;
  const handingOver = units.map(async ([federation, unit]) => {
    const { journal } = unit;
    if (journal.role !== 'leader') return;
    const wanted = (await settingsIn(main, federation)) ?? (federation === MAIN ? FIRST_SETTINGS : undefined);
    const has = await settingsIn(unit, federation);
    if (!wanted || (has && sameSettings(has, wanted))) return;
    await journal.execute('adoptFederation', wanted, internalCall(federation, 'settings', signal));
    log('info', 'settings handed over', { federation });
  });
  for (const outcome of await Promise.allSettled(handingOver)) {
    if (outcome.status === 'fulfilled') continue;
    log('debug', 'settings were not handed over yet', { why: HiveError.from(outcome.reason).message });
  }
}

const isServing = ({ journal }: FederationUnit): boolean => journal.role === 'leader' || journal.role === 'standby';
