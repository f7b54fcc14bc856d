import { describe, expect, test } from 'vitest';
import type {
  ExplainResponse,
  LendingChange,
  LendingPolicy,
  Placement,
  RequestAgentRequest,
  TaskSpec,
} from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { Pool, wanted } from './fixtures.ts';
import { submitGroup } from './group-fixtures.ts';
import { unblocker } from './unblocker.ts';

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

const lends = (pool: Pool, change: Partial<LendingPolicy>, expectedVersion = '0') => {
  const all = { swarm: 'b', closed: false, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0, noticeMs: 0 };
  const policy = { ...all, version: '0', setBy: '', ...change };
  return pool.run.execute('setLendingPolicy', { policy, expectedVersion });
};

const NO_CHANGE: LendingChange = {
  ...{ parts: [], to: [], maxLent: 0, keepPercent: 0 },
  ...{ version: '1', thenBorrow: true },
};

test.each<[Partial<LendingPolicy>, kind: string, Partial<LendingChange>, remedy: string, reason: string]>([
  [{ closed: true }, 'open', { parts: ['open'] }, 'lends again: its lending is closed', 'closed'],
  [
    { to: ['c'] },
    'lend-to',
    { parts: ['lend-to'], to: ['c', 'a'] },
    'lends to a, too: it lends to c only',
    'to c only',
  ],
  [{ maxLent: 1 }, 'lend-more', { parts: ['lend-more'], maxLent: 2 }, 'lends more than 1 at once', 'at most 1 at once'],
  [
    { keepPercent: 80 },
    'keep-less',
    { parts: ['keep-less'], keepPercent: 50 },
    'keeps less than 80% of its agents of type lint',
    'keeps 80%',
  ],
  [
    { closed: true, to: ['c'] },
    'open',
    { parts: ['open', 'lend-to'], to: ['c', 'a'] },
    'lends again: its lending is closed; and lends to a, too: it lends to c only',
    'closed',
  ],
])('agents that their swarm does not lend: %j', (change, kind, changed, remedy, reason) => {
  const pool = new Pool();
  for (const name of ['x', 'y']) pool.register(name, { swarm: 'b' });
  if (change.maxLent) pool.run.execute('requestAgent', wanted({ swarm: 'c' }));
  lends(pool, change);
  pool.submit('t');
  const agents = change.maxLent ? 1 : 2;
  const lending = { ...NO_CHANGE, ...changed };
  const mended = unblocker(kind, `swarm b ${remedy}`, { agents, swarm: 'b', lending });
  const wholeWay = { ...mended, text: `${mended.text}; then swarm a must borrow it` };
  expect(ask(pool, 't').placement?.unblockers).toContainEqual(wholeWay);
  const none = `an agent of type lint: swarm a has none of its own; swarm b does not lend (${reason})`;
  expect(ask(pool, 't').task?.waitingFor.replace(/own[^;]*;/, 'own;')).toBe(none);
  const wish = ask(pool, '', wanted());
  expect(wish.placement?.unblockers).toContainEqual(mended);
  expect(wish.summary).toBe(`no agent of type lint can be lent to a now; swarm b does not lend (${reason})`);
  expect(() => pool.run.execute('requestAgent', wanted())).toThrow(
    `${agents} kept by their swarm; swarm b does not lend (${reason})`,
  );
  // And it is as it says: what is said of lending alone leaves the task where it is, with borrowing it goes on.
  const said = { closed: false, to: lending.to, maxLent: lending.maxLent, keepPercent: lending.keepPercent };
  lends(pool, said, '1');
  expect(pool.where('t')).toBe('QUEUED');
  pool.run.execute('requestAgent', wanted());
  expect(pool.where('t')).toMatch(/^ASSIGNED on b/);
});

test('requests of its swarm that wait for an agent which it could have are named, the oldest first', () => {
  const pool = new Pool();
  pool.submit('t', { selector: { labels: { gpu: 'yes' }, specialisations: [], region: '' } });
  const waits = (change: Partial<RequestAgentRequest>) =>
    pool.run.execute('requestAgent', wanted({ waitMs: 60_000, ...change })).request;
  const labelled = (gpu: string) => ({ selector: { labels: { gpu }, specialisations: [], region: '' } });
  const pending = () => ask(pool, 't').placement?.unblockers.filter(({ kind }) => kind === 'request');
  waits({ swarm: 'b' });
  waits({ type: 'test' });
  waits(labelled('no'));
  expect(pending()).toEqual([]);
  const first = waits({ capabilities: ['fix'] });
  const one = `request ${first} of swarm a for an agent of type lint is granted one that fits`;
  expect(pending()).toMatchObject([{ text: one, request: first, agents: 0 }]);
  const others = [waits(labelled('yes')), waits({ lender: 'b' }), waits({})];
  const several = `one of 4 requests of swarm a for an agent of type lint is granted one that fits: ${[first, ...others.slice(0, 2)].join(', ')}, …`;
  expect(pending()).toMatchObject([{ text: several, request: first }]);
  pool.register('x', { swarm: 'b', labels: { gpu: 'yes' } });
  expect(pool.where('t')).toBe('ASSIGNED on b/x');
});

describe('what follows when another swarm begins to lend', () => {
  const closed = (pool: Pool, id = 't') => ask(pool, id).placement?.unblockers.find(({ kind }) => kind === 'open');
  const unlent = (needs: Partial<TaskSpec> = {}): Pool => {
    const pool = new Pool();
    pool.register('x', { swarm: 'b', capabilities: ['fix'] });
    lends(pool, { closed: true });
    pool.submit('t', needs);
    return pool;
  };
  const waits = (pool: Pool, change: Partial<RequestAgentRequest> = {}) =>
    pool.run.execute('requestAgent', wanted({ waitMs: 60_000, ...change })).request;

  test('a request that waits for any such agent has it, and the task with it', () => {
    const pool = unlent({ capabilities: ['fix'] });
    waits(pool, { lender: 'c' });
    waits(pool, { capabilities: ['fix', 'other'] });
    expect(closed(pool)?.lending?.thenBorrow).toBe(true);
    const request = waits(pool);
    expect(closed(pool)).toMatchObject({ lending: { thenBorrow: false } });
    expect(closed(pool)?.text).toBe(`swarm b lends again: its lending is closed; request ${request} waits for it`);
    expect(closed(pool, request)?.lending?.thenBorrow).toBe(false);
    lends(pool, { closed: false });
    expect(pool.where('t')).toBe('ASSIGNED on b/x');
  });

  test('where idle agents take what has waited long, nobody need borrow', () => {
    const pool = unlent();
    pool.run.execute('setPolicy', { typicalCost: 0, ageingMs: 0, expectedVersion: '0', stealAfterMs: 5000 });
    expect(closed(pool)).toMatchObject({ lending: { thenBorrow: false } });
    expect(closed(pool)?.text).toContain('; an idle agent of it then takes the task, once that has waited 5s');
    pool.pass(5000);
    lends(pool, { closed: false });
    expect(pool.where('t')).toBe('ASSIGNED on b/x');
  });

  test('a vote is not offered to others, so its swarm must borrow', () => {
    const pool = unlent();
    pool.run.execute('setPolicy', { typicalCost: 0, ageingMs: 0, expectedVersion: '0', stealAfterMs: 5000 });
    const consensus = { votes: 3, thresholdPercent: 0, tie: 'TIE_RULE_FAIL', hearAll: false } as const;
    submitGroup(pool, 'g', [['v']], { strategy: 'GROUP_STRATEGY_CONSENSUS', consensus });
    expect(closed(pool, 'g-v-1')?.lending?.thenBorrow).toBe(true);
    expect(ask(pool, 'g-v-1').placement?.unblockers.map(({ kind }) => kind)).not.toContain('steal');
  });
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
