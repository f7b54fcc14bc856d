import { expect, test } from 'vitest';
import type {
  ExplainResponse,
  LendingPolicy,
  Placement,
  RequestAgentRequest,
} from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Pool, wanted } from './fixtures.ts';

const ask = (pool: Pool, id: string, wish?: RequestAgentRequest): ExplainResponse =>
  pool.run.query('explain', { id, wish, minRevision: '0' }, { now: pool.now });

/** `type=lint:1` for each condition that rules agents out. */
const ruledOut = (placement: Placement | undefined): string[] =>
  (placement?.conditions ?? [])
    .filter((condition) => condition.ruledOut > 0)
    .map(({ name, value, ruledOut: count }) => `${name}${value && `=${value}`}:${count}`);

const unblockers = (placement: Placement | undefined): string[] =>
  (placement?.unblockers ?? []).map(({ kind, agents }) => `${kind}:${agents}`);

test('a waiting task: each agent counts at the first condition that it does not meet, and the numbers add up', () => {
  const pool = new Pool();
  pool.register('other-type', { type: 'test' });
  pool.register('elsewhere', { swarm: 'b', capabilities: ['fix'] });
  pool.register('lent', { capabilities: ['fix'] });
  pool.register('unable');
  pool.register('gone', { capabilities: ['fix'] });
  pool.observe('a/gone', 'UNREACHABLE');
  pool.register('busy', { capabilities: ['fix'], priority: 9 });
  pool.submit('first', { capabilities: ['fix'] }); // takes `busy`
  pool.run.execute('requestAgent', wanted({ swarm: 'c', capabilities: ['fix'], lender: 'a' }));
  pool.submit('second', { capabilities: ['fix'], priority: 5 });
  pool.submit('third', { capabilities: ['fix'] });
  const { placement, summary } = ask(pool, 'third');
  expect(summary).toBe('has waited 0ms for an agent');
  expect(ruledOut(placement)).toEqual([
    'type=lint:1',
    'swarm=a:1',
    'lent:1',
    'capability=fix:1',
    'reachable:1',
    'free:1',
  ]);
  const sum = placement?.conditions.reduce((before, condition) => before + condition.ruledOut, 0);
  expect([placement?.agents, sum, placement?.fitting, placement?.ahead]).toEqual([6, 6, 0, 1]);
  expect(unblockers(placement)).toEqual([
    'finish:1',
    'return:1',
    'borrow:1',
    'recover:1',
    'capability:1',
    'register:0',
  ]);
  expect(placement?.conditions.find(({ name }) => name === 'free')?.examples).toEqual(['a/busy']);
  expect(placement?.unblockers[1]?.at).toBe(new Date(pool.now + 60_000).toISOString());
});

test('of those that go before a task, who could take an agent that it could have', () => {
  const pool = new Pool();
  const place = (id: string) => {
    const { ahead, rivals } = ask(pool, id).placement ?? {};
    return [ahead, rivals];
  };
  const gpu = { selector: { labels: { gpu: 'yes' }, specialisations: [], region: '' } };
  pool.submit('plain');
  pool.submit('fix', { capabilities: ['fix'] });
  pool.submit('other', { capabilities: ['other'] });
  pool.submit('gpu', gpu);
  pool.submit('both', { capabilities: ['fix', 'other'] });
  pool.submit('last', { capabilities: ['fix'] });
  expect(place('plain')).toEqual([0, 0]);
  // Nobody is there: whoever can fix could have been taken by what needs nothing, or fixing alone.
  expect(place('last')).toEqual([5, 2]);
  expect(place('both')).toEqual([4, 3]);
  // An agent that has it all could be taken by any of them, also while it is busy.
  pool.register('able', { capabilities: ['fix', 'other'] });
  expect(place('last')).toEqual([4, 3]);
  pool.register('lent', { swarm: 'b', capabilities: ['fix'], labels: { gpu: 'yes' } });
  expect(place('last')).toEqual([4, 3]);
});

test('of requests that go before one, who could borrow an agent that it could have', () => {
  const pool = new Pool();
  const waits = (swarm: string, change: Partial<RequestAgentRequest> = {}) =>
    pool.run.execute('requestAgent', wanted({ swarm, waitMs: 60_000, ...change })).request;
  const place = (id: string) => {
    const { ahead, rivals } = ask(pool, id).placement ?? {};
    return [ahead, rivals];
  };
  const [first, second, third] = [
    waits('a', { lender: 'b' }),
    waits('b', { lender: 'd' }),
    waits('c', { lender: 'd' }),
  ];
  expect([first, second, third].map(place)).toEqual([
    [0, 0],
    [1, 0],
    [2, 1],
  ]);
  const any = waits('d');
  const last = waits('c', { capabilities: ['fix'] });
  // Nobody is there: an agent that would do for the last may be anybody's, so only the one that takes anybody's counts.
  expect(place(last)).toEqual([4, 1]);
  // Those whom these could have are theirs now, and come back.
  pool.register('x', { swarm: 'b', capabilities: ['fix'] });
  pool.register('y', { swarm: 'd' });
  expect([place(third), place(any), place(last)]).toEqual([
    [0, 0],
    [1, 0],
    [2, 1],
  ]);
});

test('nobody is there at all: what is left is to start one', () => {
  const pool = new Pool();
  pool.submit('t');
  const { placement } = ask(pool, 't');
  expect([placement?.agents, ruledOut(placement), unblockers(placement)]).toEqual([0, [], ['register:0']]);
});

test('a task on its way and after it: in a sentence, and what happened', () => {
  const pool = new Pool();
  pool.register('x');
  pool.submit('t');
  expect(ask(pool, 't')).toMatchObject({ summary: 'is given to a/x, which has not confirmed it for 0ms' });
  pool.confirm('t');
  pool.now += 2000;
  expect(ask(pool, 't').summary).toBe('runs on a/x for 2s, 9m58s before its time limit');
  pool.pass(0);
  pool.report('t', 'OUTCOME_FAILED');
  pool.confirm('t');
  pool.report('t');
  const { summary, history, placement } = ask(pool, 't');
  expect(summary).toBe('succeeded on a/x 0ms ago');
  expect(placement).toBeUndefined();
  expect(history.map(({ text }) => text)).toEqual([
    'submitted by operator:ada',
    'attempt 1 given to a/x',
    'attempt 1 begun',
    'attempt 1 ended: failed, said so',
    'attempt 2 given to a/x',
    'attempt 2 begun',
    'attempt 2 ended: succeeded',
    'succeeded',
  ]);
});

test('a lease, and one that is only wished for', () => {
  const pool = new Pool();
  pool.register('x', { swarm: 'b' });
  expect(ask(pool, '', wanted())).toMatchObject({ summary: '1 of 1 agents could be lent to a now' });
  const lease = pool.run.execute('requestAgent', wanted()).lease?.id ?? '';
  expect(ask(pool, lease).summary).toBe('b/x serves a, for another 1m unless it is renewed');
  const refused = ask(pool, '', wanted({ swarm: 'c' }));
  expect(refused.summary).toBe('no agent of type lint can be lent to c now');
  expect(ruledOut(refused.placement)).toEqual(['lent:1']);
  expect(unblockers(refused.placement)).toEqual(['return:1', 'register:0']);
  pool.run.execute('releaseLease', { lease });
  expect(ask(pool, lease).summary).toMatch(/^ended 0ms ago: given back by/);
  expect(() => ask(pool, 'nothing')).toThrow('task, group, lease, request or migration "nothing" is not known');
});

test.each<[Partial<LendingPolicy>, kind: string, remedy: string, reason: string]>([
  [{ closed: true }, 'open', 'lends again: its lending is closed', 'closed'],
  [{ to: ['c'] }, 'lend-to', 'lends to a, too: it lends to c only', 'to c only'],
  [{ maxLent: 1 }, 'lend-more', 'lends more than 1 at once', 'at most 1 at once'],
  [{ keepPercent: 80 }, 'keep-less', 'keeps less than 80% of its agents of type lint', 'keeps 80%'],
])('agents that their swarm does not lend: %j', (change, kind, remedy, reason) => {
  const pool = new Pool();
  for (const name of ['x', 'y']) pool.register(name, { swarm: 'b' });
  if (change.maxLent) pool.run.execute('requestAgent', wanted({ swarm: 'c' }));
  const all = { swarm: 'b', closed: false, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0, noticeMs: 0 };
  const policy = { ...all, version: '0', setBy: '', ...change };
  pool.run.execute('setLendingPolicy', { policy, expectedVersion: '0' });
  pool.submit('t');
  const agents = change.maxLent ? 1 : 2;
  const mended = { kind, text: `swarm b ${remedy}`, agents, at: undefined, swarm: 'b' };
  expect(ask(pool, 't').placement?.unblockers).toContainEqual(mended);
  const none = `an agent of type lint: swarm a has none of its own; swarm b does not lend (${reason})`;
  expect(ask(pool, 't').task?.waitingFor.replace(/own[^;]*;/, 'own;')).toBe(none);
  const wish = ask(pool, '', wanted());
  expect(wish.placement?.unblockers).toContainEqual(mended);
  expect(wish.summary).toBe(`no agent of type lint can be lent to a now; swarm b does not lend (${reason})`);
  expect(() => pool.run.execute('requestAgent', wanted())).toThrow(
    `${agents} kept by their swarm; swarm b does not lend (${reason})`,
  );
});

test('an attempt that was moved is not one of those that a task has', () => {
  const pool = new Pool();
  pool.register('x');
  pool.submit('t', { maxAttempts: 1 });
  pool.confirm('t');
  const how = { swarm: 'a', name: 'x', instance: '', graceMs: 0, reason: 'upgrade' };
  pool.run.execute('drainAgent', how, { principal: pool.operator, now: pool.now });
  pool.pass(0);
  expect(ask(pool, 't').summary).toBe(
    'has waited 0ms for an agent, after 0 of 1 attempts and 1 that did not count (moved)',
  );
});
