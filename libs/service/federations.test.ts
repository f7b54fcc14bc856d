import { expect, test } from 'vitest';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { until } from '../testkit/until.ts';
import { FederationHost } from './federations.ts';

class Unit implements AsyncDisposable {
  closed = false;
  readonly federation: string;

  constructor(federation: string) {
    this.federation = federation;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed = true;
  }
}

/** Ten times as fast. */
const quick: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 10, run) };

const open = async (federation: string) => new Unit(federation);

test('main is there without a list; others are NOT_FOUND, naming those that are known', async () => {
  await using host = new FederationHost({ open });
  expect((await host.opened('main')).federation).toBe('main');
  expect(() => host.get('labs')).toThrow('federation "labs" is not known; known: main');
  await expect(host.opened('labs')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('units follow the list', async () => {
  let names = ['main'];
  await using host = new FederationHost({ open, list: async () => names });
  names = ['main', 'labs'];
  const labs = await host.opened('labs'); // asks again before it says no
  expect(host.get('labs')).toBe(labs);
  expect(host.units().map(([name]) => name)).toEqual(['main', 'labs']);
  names = [];
  await host.refresh();
  expect(labs.closed).toBe(true);
  expect(host.units().map(([name]) => name)).toEqual(['main']);
});

test('a list that fails changes nothing', async () => {
  let fails = false;
  const list = async () => {
    if (fails) throw new Error('down');
    return ['labs'];
  };
  await using host = new FederationHost({ open, list });
  await host.opened('labs');
  fails = true;
  await host.refresh();
  expect(host.get('labs').closed).toBe(false);
});

test('opening is tried again; meanwhile callers are told to come back or wait', async () => {
  let attempts = 0;
  const flaky = async (federation: string) => {
    if (++attempts < 3) throw new Error('not yet');
    return new Unit(federation);
  };
  await using host = new FederationHost({ open: flaky });
  expect(() => host.get('main')).toThrow('is being opened');
  expect((await host.opened('main')).federation).toBe('main');
  expect(attempts).toBe(3);
});

test('a failure that does not pass by itself is told once, to callers and checks too, and ends waiting on request', async () => {
  const told: string[] = [];
  let isFull = true;
  const full = async (federation: string) => {
    if (isFull) throw new HiveError('RESOURCE_EXHAUSTED', 'the disk is full');
    return new Unit(federation);
  };
  await using host = new FederationHost({ open: full, log: (_, message) => told.push(message), clock: quick });
  await expect(host.ready(undefined, false)).rejects.toMatchObject({ message: 'the disk is full' });
  const why = 'federation "main" cannot be opened: the disk is full';
  expect(() => host.get('main')).toThrow(why);
  expect(host.check()).toBe(why);
  const ready = host.ready();
  isFull = false;
  await ready;
  expect(host.check()).toBeUndefined();
  expect(told).toEqual(['cannot open federation, will try again until it can', 'federation opened']);
});

test('what may pass ends no waiting', async () => {
  let attempts = 0;
  const flaky = async (federation: string) => {
    attempts++;
    if (attempts === 1) throw new HiveError('UNAVAILABLE', 'no leader yet');
    if (attempts === 2) throw new Error('a defect');
    return new Unit(federation);
  };
  await using host = new FederationHost({ open: flaky, clock: quick });
  await host.ready(undefined, false);
  expect(attempts).toBe(3);
});

test('waiting ends with its signal, and with the host', async () => {
  const never = () => new Promise<Unit>(() => {});
  const host = new FederationHost({ open: never });
  await expect(host.opened('main', AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
});

test('closing closes every unit, also one that was still opening', async () => {
  const opened: Unit[] = [];
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = async (federation: string) => {
    if (federation === 'labs') await gate;
    const unit = new Unit(federation);
    opened.push(unit);
    return unit;
  };
  const host = new FederationHost({ open: slow, list: async () => ['labs'] });
  await until(() => opened.length === 1);
  const closed = host[Symbol.asyncDispose]();
  release();
  await closed;
  expect(opened.map((unit) => unit.closed)).toEqual([true, true]);
});

test('who asks for a federation that was made a moment ago may wait for it', async () => {
  let names = ['main'];
  await using host = new FederationHost({ open, list: async () => names, refreshMs: 3_600_000 });
  await host.opened('main');
  expect(host.awaited('main')).toBeUndefined();
  expect(host.awaited('No Name')).toBeUndefined();
  await host.awaited('labs');
  expect(() => host.get('labs')).toThrow('not known');
  names = ['main', 'labs'];
  await host.awaited('labs');
  expect(host.get('labs').federation).toBe('labs');
});
