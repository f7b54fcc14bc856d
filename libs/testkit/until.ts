import { setTimeout as sleep } from 'node:timers/promises';
import { quote } from '../kernel/errors.ts';

/** Waits until `condition` gives something truthy, and returns it; throws after `timeoutMs`, saying what it last gave. */
export async function until<T>(condition: () => T | Promise<T>, timeoutMs = 10_000): Promise<NonNullable<T>> {
  const giveUpAt = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (performance.now() > giveUpAt)
      throw new Error(`not true after ${timeoutMs} ms, last ${quote(value)}: ${condition}`);
    await sleep(5);
  }
}
