import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Group } from '../../libs/wire/hivebus/pool/v1/group.ts';
import { SAMPLES } from './fixtures.ts';
import { groupDetails } from './groups.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00Z') });
});
afterEach(() => {
  vi.useRealTimers();
});

test('the details of groups at 80 columns: nothing is cut', async () => {
  const groups = (SAMPLES.group ?? []) as readonly Group[];
  const text = groups.map((group) => groupDetails(group, 80)).join('\n\n');
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(80);
  await expect(`${text}\n`).toMatchFileSnapshot('golden/group-details-80.txt');
});
