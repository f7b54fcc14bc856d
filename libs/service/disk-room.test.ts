import { tmpdir } from 'node:os';
import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../kernel/clock.ts';
import type { HiveError } from '../kernel/errors.ts';
import { diskOf, requireRoom, watchRoom } from './disk-room.ts';

const MIB = 1 << 20;
const disk = (freeMib: number) => () => ({ size: 1000 * MIB, free: freeMib * MIB });

test('a disk has a size, and less than that free', () => {
  const { size, free } = diskOf(tmpdir());
  expect(size).toBeGreaterThan(MIB);
  expect(free).toBeLessThanOrEqual(size);
});

test('nothing begins on a disk that is nearly full', () => {
  requireRoom('/data', disk(64));
  expect(() => requireRoom('/data', disk(63))).toThrow(
    'the disk of /data has 63 MiB left, and Hivebus needs 64: nothing is started; free some, and start it again',
  );
});

test('that it is filling up is told once, in time, and not after the end', async () => {
  const quick: Clock = { ...systemClock, after: (_, run) => systemClock.after(1, run) };
  const left = [500, 17, 16, 15, 0];
  const told: HiveError[] = [];
  const look = () => disk(left.shift() ?? 0)();
  const onFull = (error: HiveError) => void told.push(error);
  await watchRoom('/data', { clock: quick, signal: new AbortController().signal, onFull, look });
  expect(left).toEqual([0]);
  await watchRoom('/data', { clock: quick, signal: AbortSignal.abort(), onFull, look });
  expect(told.map(({ code, reason }) => [code, reason])).toEqual([['RESOURCE_EXHAUSTED', 'DISK_FULL']]);
  expect(told[0]?.message).toContain('/data has 15 MiB left');
});
