import { expect, test } from 'vitest';
import type { TraceSummary } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { traceList } from './trace-list.ts';

/** How the list looks on a narrow and on a wide terminal: read the golden files when they change. */

const NOW_MS = Date.parse('2026-03-01T12:00:00Z');

const trace = (digit: string, beganMs: number, more: Partial<TraceSummary>): TraceSummary => ({
  traceId: digit.repeat(32),
  name: 'hivebus task submit',
  service: 'hivebus-cli',
  startUs: String((NOW_MS - beganMs) * 1000),
  durationUs: '52000',
  spans: 22,
  failed: 0,
  sender: 'operator:local',
  ...more,
});

const TRACES = [
  trace('1', 1300, {}),
  trace('2', 72_000, {
    name: 'demo',
    service: 'demo',
    durationUs: '21800000',
    spans: 4627,
    failed: 6,
    sender: 'swarm:code',
  }),
  trace('3', 3_700_000, {
    name: 'hivebus.registry.v1.RegistryService/RegisterSwarm',
    service: 'hivebus-registry',
    durationUs: '740',
    sender: '',
  }),
  trace('4', 9_000_000, { name: 'x\x1b[2J\u202egnp', service: '', sender: 'anonymous' }),
];

test.each([80, 100, 160])('fits %i columns: ids whole, then names, times and errors', async (width) => {
  const text = traceList(TRACES, NOW_MS, width);
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
  for (const { traceId } of TRACES) expect(text).toContain(traceId);
  expect(text).toContain('registry.RegisterSwarm');
  await expect(`${text}\n`).toMatchFileSnapshot(`golden/trace-list-${width}.txt`);
});

test('nothing is said in words', () => {
  expect(traceList([])).toBe('no traces are kept yet');
});
