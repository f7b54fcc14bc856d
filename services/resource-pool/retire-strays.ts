import type { Journal } from '../../libs/journal/journal.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { strays } from './core/retire.ts';
import type { PoolShape, Retirement } from './core/state.ts';
import { internalCall } from './internal-call.ts';
import type { RegistryFollower } from './registry-follower.ts';

export interface RetireDeps {
  readonly journal: Journal<PoolShape>;
  readonly follower: Pick<RegistryFollower, 'swarms' | 'synced' | 'onChange' | 'askRegistration'>;
  readonly clock: Clock;
  /** Told of what did not succeed; it is tried again. */
  readonly onError: (error: HiveError) => void;
}

/** Looked at so often, in milliseconds, whether there is a reason to compare. */
const LOOK_MS = 500;

/**
 * Where the journal leads: ends what belongs to swarms that are deregistered. Compared when the registry has told of a
 * change, and after a takeover, since nobody else saw what changed meanwhile. What is followed may be old, so nothing is
 * ended before the registry's leader has said the same.
 */
export function retireStrays({ journal, follower, clock, onError }: RetireDeps): Disposable {
  const closing = new AbortController();
  const { signal } = closing;
  let isDue = true;
  let hasLed = false;
  follower.onChange(() => {
    isDue = true;
  });

  const retire = async ({ swarm, registrations }: Retirement) => {
    const current = await follower.askRegistration(swarm, signal);
    const over = registrations.filter((each) => each !== current && (each !== '' || current === undefined));
    let left = over.length > 0;
    while (left && !signal.aborted) {
      const call = internalCall(journal.federation, 'retire', signal);
      ({ left } = await journal.execute('retireSwarm', { swarm, registrations: over }, call));
    }
  };

  const look = async () => {
    const leads = journal.role === 'leader';
    if (leads && !hasLed) isDue = true;
    hasLed = leads;
    if (!leads || !isDue || !follower.synced) return;
    isDue = false;
    try {
      for (const stray of strays(journal.state, follower.swarms.registrationOf)) await retire(stray);
    } catch (cause) {
      isDue = true;
      if (!signal.aborted) onError(HiveError.from(cause));
    }
  };

  let timer: Disposable;
  const lookLater = () => {
    timer = clock.after(LOOK_MS, () => void look().finally(() => signal.aborted || lookLater()));
  };
  lookLater();
  return {
    [Symbol.dispose]: () => {
      closing.abort();
      timer[Symbol.dispose]();
    },
  };
}
