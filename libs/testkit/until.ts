import { setTimeout as sleep } from 'node:timers/promises';
import { quote } from '../kernel/errors.ts';

/** Long enough for a starved machine, and within every test's own limit, which would not say what was waited for. */
const PATIENCE_MS = 25_000;

/** Waits until `condition` gives something truthy, and returns it; throws after `timeoutMs`, saying what it last gave. */
export async function until<T>(condition: () => T | Promise<T>, timeoutMs = PATIENCE_MS): Promise<NonNullable<T>> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > giveUpAt)
      throw new Error(`not true after ${timeoutMs} ms, last ${quote(value)}: ${condition}`);
    await sleep(5);
  }
}
