import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { Table } from '../kernel/table.ts';
import type { RequestId } from '../protocol/call.ts';
import type { Machine, Shape } from '../protocol/machine.ts';
import type { Outcome } from './group.ts';
import { Leader, type LeaderDeps } from './leader.ts';
import type { Appended } from './ports.ts';
import { Replica } from './replica.ts';
import { DEFAULT_SETTINGS } from './settings.ts';

/** Jobs that wait for somebody to do them, two at most. */
interface DeskShape extends Shape {
  state: { jobs: Table<true> };
  commands: { submit: { input: { job: string }; reply: object }; report: { input: { job: string }; reply: object } };
  queries: { count: { input: object; reply: number } };
  events: { 'job.submitted': { job: string }; 'job.done': { job: string } };
  soft: undefined;
}

const desk: Machine<DeskShape> = {
  service: 'desk',
  newWork: new Set(['submit']),
  init: () => ({ jobs: new Table() }),
  tables: ({ jobs }) => ({ jobs: jobs as Table<unknown> }),
  restored: () => {},
  commands: {
    submit({ jobs }, { job }) {
      if (jobs.has(job)) throw new HiveError('ALREADY_EXISTS', job);
      if (jobs.size < 2) return { events: [{ type: 'job.submitted', data: { job } }], reply: () => ({ job }) };
      throw new HiveError('RESOURCE_EXHAUSTED', 'two wait', { retryable: true, retryAfterMs: 50, reason: 'FULL' });
    },
    report: (_, { job }) => ({ events: [{ type: 'job.done', data: { job } }], reply: () => ({}) }),
  },
  queries: { count: ({ jobs }) => jobs.size },
  events: {
    'job.submitted': { apply: ({ jobs }, { job }) => jobs.set(job, true), key: ({ job }) => job },
    'job.done': { apply: ({ jobs }, { job }) => void jobs.delete(job), key: ({ job }) => job },
  },
  nextDue: () => undefined,
  tick: () => [],
};

/** Time stands still: what a group may take does not depend on how fast the machine is. */
const clock = { ...systemClock, monotonic: () => 0 };

/** A leader whose records are committed when the test says so. */
function lead() {
  const records: string[] = [];
  let acknowledge: (appended: Appended) => void = () => {};
  const deps: Partial<LeaderDeps<DeskShape>> = {
    ...{ clock, settings: DEFAULT_SETTINGS, soft: undefined },
    log: {
      append: (_: number, __: unknown, body: string) => {
        records.push(body);
        return new Promise<Appended>((resolve) => {
          acknowledge = resolve;
        });
      },
      entryAt: () => new Promise(() => {}), // nobody knows yet what stands there
    } as never,
    announcer: { announce: () => {} },
    observer: { appending: () => undefined, count: () => {}, log: () => {} },
    envelope: () => ({ id: `w.${records.length}`, kind: 'group', epoch: 1, writer: 'w' }),
    committed: () => {},
    deposed: () => {},
  };
  const leader = new Leader(new Replica(desk), deps as LeaderDeps<DeskShape>);
  const told: string[] = [];
  const ask = async (name: 'submit' | 'report' | 'count', job: string, request?: RequestId) => {
    const settle = (outcome: Outcome) => {
      told.push(`${name} ${job}: ${'error' in outcome ? (outcome.error.reason ?? outcome.error.code) : 'done'}`);
    };
    const call = {
      principal: { kind: 'operator', name: 'ada', key: 'k' } as const,
      trace: { traceparent: '', correlationId: '', hops: 0 },
      request,
      signal: new AbortController().signal,
    };
    leader.submit({ kind: name === 'count' ? 'query' : 'command', name, input: { job }, call, settle });
    await settled();
  };
  const end = async (appended: Appended) => {
    acknowledge(appended);
    await settled();
  };
  return { ask, told, records, end, commit: () => end({ outcome: 'committed' }) };
}

const settled = () => new Promise((resolve) => setImmediate(resolve));
const id = (counter: number): RequestId => ({ client: 'c-1', counter });

test('a report is decided before submissions that came earlier, and so makes the room for them', async () => {
  const { ask, told, records, commit } = lead();
  await ask('submit', 'a');
  for (const job of ['b', 'c', 'd']) await ask('submit', job);
  await ask('report', 'a');
  expect(records).toHaveLength(1);
  await commit();
  await commit();
  expect(records[1]?.match(/job\.\w+","data":{"job":"\w/g)).toEqual([
    'job.done","data":{"job":"a',
    'job.submitted","data":{"job":"b',
    'job.submitted","data":{"job":"c',
  ]);
  expect(told).toEqual(['submit a: done', 'submit d: FULL', 'report a: done', 'submit b: done', 'submit c: done']);
});

test('that there is no room is said at once, costs no record, and is not what a repeat is answered', async () => {
  const { ask, told, records, commit } = lead();
  await ask('submit', 'a', id(1));
  await commit();
  await ask('submit', 'b', id(2));
  await commit();
  await ask('submit', 'c', id(3));
  expect([told.at(-1), records.length]).toEqual(['submit c: FULL', 2]);
  await ask('report', 'a', id(4));
  await commit();
  await ask('submit', 'c', id(3));
  await commit();
  expect(told.at(-1)).toBe('submit c: done');
  // Once it is taken, that is the answer, room or not.
  await ask('submit', 'c', id(3));
  await commit();
  expect(told.at(-1)).toBe('submit c: done');
  // Any other refusal is kept.
  await ask('submit', 'c', id(5));
  await commit();
  expect(told.at(-1)).toBe('submit c: ALREADY_EXISTS');
  expect(records.at(-1)).toContain('"x":{"code":"ALREADY_EXISTS"');
});

test('when the store is full nothing was done of what waits; of what is in flight it is not known', async () => {
  const { ask, told, end, commit } = lead();
  await ask('submit', 'a');
  await ask('report', 'b', id(1));
  await ask('count', '');
  await commit();
  await ask('submit', 'c', id(2));
  told.length = 0;
  const error = new HiveError('RESOURCE_EXHAUSTED', 'full', { retryable: true, reason: 'STORE_FULL' });
  await end({ outcome: 'unknown', error });
  expect(told).toEqual(['report b: OUTCOME_UNKNOWN', 'count : STORE_FULL', 'submit c: STORE_FULL']);
  await ask('submit', 'd', id(3));
  expect(told.at(-1)).toBe('submit d: STORE_FULL');
});
