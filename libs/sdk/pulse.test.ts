import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { Pulse } from './pulse.ts';

function begun() {
  let nowMs = 0;
  const pulse = new Pulse({ ...systemClock, monotonic: () => nowMs });
  const after = (ms: number) => {
    nowMs += ms;
    return pulse;
  };
  return { pulse, after };
}

test('nobody has heard of an agent that is not registered', () => {
  expect(begun().pulse.isHeard).toBe(false);
});

test('an agent that beats is heard, one that has been silent is not, also when it beats again', () => {
  const { pulse, after } = begun();
  pulse.begin(100);
  after(100).beat();
  expect([after(249).isHeard, after(1).isHeard]).toEqual([true, false]);
  pulse.beat();
  expect([pulse.isHeard, pulse.silences]).toEqual([false, 1]);
  after(100).beat();
  expect([pulse.isHeard, pulse.silences]).toEqual([false, 1]);
  pulse.answered(pulse.silences);
  expect(pulse.isHeard).toBe(true);
});

test('an answer to what was asked before a silence says nothing of it', () => {
  const { pulse, after } = begun();
  pulse.begin(100);
  const { silences } = pulse;
  after(1000).beat();
  pulse.answered(silences);
  expect(pulse.isHeard).toBe(false);
  pulse.answered(pulse.silences);
  pulse.answered(silences);
  expect(pulse.isHeard).toBe(true);
});
