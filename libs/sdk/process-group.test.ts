import { spawn } from 'node:child_process';
import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { groupEnd } from './process-group.ts';
import { runsInGroup } from './processes.ts';

test('who was left running in the group is gone when its end is told, however slow to die', async () => {
  const left = 'nice -n 19 sh -c "while :; do :; done" >/dev/null 2>&1 &';
  const leader = spawn('sh', ['-c', `for i in $(seq 40); do ${left} done`], { detached: true });
  const signal = new AbortController().signal;
  await groupEnd(leader, { signal, graceMs: 5000, clock: systemClock, killOutsiders: () => {} });
  expect(runsInGroup(leader.pid as number)).toBe(false);
});
