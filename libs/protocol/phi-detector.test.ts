import fc from 'fast-check';
import { expect, test } from 'vitest';
import { DEFAULT_PHI_OPTIONS, PhiDetector } from './phi-detector.ts';

/** A member that has beaten every `intervalMs`, `beats` times, from 0. */
function regular(intervalMs: number, beats: number): PhiDetector {
  const detector = new PhiDetector(0);
  for (let i = 1; i <= beats; i++) detector.beat(i * intervalMs);
  return detector;
}

/** The silence after which the verdict is no longer `verdict`, in milliseconds, to within 10. */
function silenceUntilNot(detector: PhiDetector, verdict: string): number {
  let silence = 0;
  while (detector.verdict(detector.lastMs + silence) === verdict) silence += 10;
  return silence;
}

test('a regular member is healthy, then suspect, then unreachable, at the times that the defaults state', () => {
  const detector = regular(1000, 200);
  const suspectAt = silenceUntilNot(detector, 'healthy');
  expect(suspectAt).toBeGreaterThanOrEqual(4500);
  expect(suspectAt).toBeLessThan(4600);
  let silence = suspectAt;
  while (detector.verdict(detector.lastMs + silence) === 'suspect') silence += 10;
  expect(silence).toBeGreaterThanOrEqual(5550);
  expect(silence).toBeLessThan(5700);
  expect(detector.verdict(detector.lastMs + silence)).toBe('unreachable');
});

test('an irregular member is given more time than a regular one of the same mean', () => {
  const irregular = new PhiDetector(0);
  for (let i = 1; i <= 200; i++) irregular.beat(irregular.lastMs + (i % 2 === 0 ? 100 : 3900));
  const steady = regular(2000, 200);
  expect(silenceUntilNot(irregular, 'healthy')).toBeGreaterThan(silenceUntilNot(steady, 'healthy'));
});

test('the first beat is not awaited sooner than the expected interval and the pause allow', () => {
  const detector = new PhiDetector(5000);
  expect(detector.verdict(5000 + DEFAULT_PHI_OPTIONS.expectedIntervalMs + DEFAULT_PHI_OPTIONS.acceptablePauseMs)).toBe(
    'healthy',
  );
  expect(detector.verdict(15_000)).toBe('unreachable');
});

test('silence before the observer began is no evidence', () => {
  const detector = regular(1000, 50);
  const later = detector.lastMs + 3_600_000;
  expect(detector.verdict(later)).toBe('unreachable');
  expect(detector.verdict(later, later)).toBe('healthy');
  expect(detector.verdict(later + 10_000, later)).toBe('unreachable');
});

test('an outage hardly changes what is learned, a changed rhythm is learned', () => {
  const detector = regular(1000, 200);
  const before = silenceUntilNot(detector, 'healthy');
  detector.beat(detector.lastMs + 3_600_000);
  expect(silenceUntilNot(detector, 'healthy')).toBeLessThan(before + 2500);
  for (let i = 0; i < 400; i++) detector.beat(detector.lastMs + 20_000);
  expect(detector.verdict(detector.lastMs + 20_000)).toBe('healthy');
});

test('a beat out of order changes nothing', () => {
  const detector = regular(1000, 10);
  const phi = detector.phi(15_000);
  detector.beat(3000);
  expect(detector.phi(15_000)).toBe(phi);
});

test('phi never falls while nothing comes, stays in 0..100, and a beat makes the member healthy', () => {
  const intervals = fc.array(fc.integer({ min: 0, max: 100_000 }), { maxLength: 200 });
  fc.assert(
    fc.property(intervals, fc.array(fc.integer({ min: 0, max: 1_000_000 }), { maxLength: 50 }), (beats, waits) => {
      const detector = new PhiDetector(0);
      for (const interval of beats) detector.beat(detector.lastMs + interval);
      let now = detector.lastMs;
      expect(detector.verdict(now)).toBe('healthy');
      let last = 0;
      for (const wait of waits) {
        now += wait;
        const phi = detector.phi(now);
        expect(phi).toBeGreaterThanOrEqual(last);
        expect(phi).toBeLessThanOrEqual(100);
        last = phi;
      }
    }),
  );
});
