import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { watchStart } from './watch-start.ts';

/** Goes on by what is waited for. */
function hastyClock(onWait: () => void): Clock {
  let now = 0;
  return {
    ...systemClock,
    monotonic: () => now,
    after: (ms, run) => {
      now += ms;
      onWait();
      return systemClock.after(0, run);
    },
  };
}

const { signal } = new AbortController();

test('from 0 is from now on; an older revision is where it says', async () => {
  expect(await watchStart({ revision: 7 }, 0, signal)).toBe(7);
  expect(await watchStart({ revision: 7 }, 3, signal)).toBe(3);
});

test('a revision that another replica has told already is waited for; one that never was is refused', async () => {
  const journal = { revision: 7 };
  const lagging = hastyClock(() => {
    journal.revision++;
  });
  expect(await watchStart(journal, 9, signal, lagging)).toBe(9);
  const made = watchStart(
    { revision: 7 },
    999,
    signal,
    hastyClock(() => {}),
  );
  await expect(made).rejects.toMatchObject({ code: 'OUT_OF_RANGE', reason: 'FUTURE_REVISION', retryable: false });
});
