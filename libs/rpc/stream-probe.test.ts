import { expect, test } from 'vitest';
import { SimTime } from '../testkit/sim/clock.ts';
import { StreamProbe, StreamProbes } from './stream-probe.ts';

function setUp() {
  const time = new SimTime();
  const clock = time.clock({ dead: false, pausedUntil: 0, cutOff: undefined }, 0);
  const asked: number[] = [];
  const probe = new StreamProbe(clock, () => asked.push(time.now));
  return { time, clock, asked, probe };
}

test('a server is asked for soon after it fell silent, and less and less often while it says nothing', async () => {
  const { time, asked, probe } = setUp();
  for (let now = 100; now <= 1000; now += 100) {
    await time.run(now);
    probe.heard();
  }
  expect(asked).toEqual([]);
  await time.run(10_000);
  expect(asked).toEqual([1500, 2000, 3000, 5000, 7000, 9000]);
  probe.heard();
  await time.run(10_600);
  expect(asked.slice(6)).toEqual([10_500]);
  probe[Symbol.dispose]();
  await time.run(60_000);
  expect(asked).toHaveLength(7);
});

test('when one server is gone all others are asked for, once', async () => {
  const { time, clock } = setUp();
  const probes = new StreamProbes(clock);
  const asked: string[] = [];
  const [first, second, left] = ['first', 'second', 'left'].map((name) => {
    const probe = new StreamProbe(clock, () => {
      asked.push(name);
      probes.oneIsGone(); // so is this one
    });
    probes.add(probe);
    return probe;
  });
  probes.delete(left as StreamProbe);
  probes.oneIsGone();
  expect(asked).toEqual(['first', 'second']);
  probes.delete(first as StreamProbe);
  await time.run(200);
  probes.oneIsGone();
  expect(asked).toEqual(['first', 'second', 'second']);
  probes.delete(second as StreamProbe);
});
