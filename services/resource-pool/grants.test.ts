import { expect, test } from 'vitest';
import type { Committed, Journal } from '../../libs/journal/journal.ts';
import { type Clock, systemClock } from '../../libs/kernel/clock.ts';
import type { Call } from '../../libs/protocol/call.ts';
import type { RequestAgentResponse } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { PoolShape } from './core/state.ts';
import { Grants } from './grants.ts';

type Event = Committed<PoolShape>['events'][number];

const granted = (request: string, lease: string) => ({ type: 'lease.granted', data: { request, lease } }) as Event;
const ended = (request: string, withdrawn: boolean) =>
  ({ type: 'request.ended', data: { request, withdrawn, reason: 'withdrawn by b' } }) as Event;

/** A journal that holds requests; `commit` says whether listeners hear of it. */
function journalOf(waiting: Set<string>) {
  const records: Committed<PoolShape>[] = [];
  const listeners = new Set<(committed: Committed<PoolShape>) => void>();
  let looks = 0;
  const journal = {
    get revision() {
      return records.length;
    },
    state: { requests: { committed: (id: string) => (waiting.has(id) ? {} : undefined) } },
    onCommitted(listener: (committed: Committed<PoolShape>) => void) {
      listeners.add(listener);
      return { [Symbol.dispose]: () => void listeners.delete(listener) };
    },
    async *watch(from: number, _: AbortSignal, until: number) {
      looks++;
      yield* records.slice(from, until);
    },
    query: async (_: string, { lease }: { lease: string }) => ({ lease: { id: lease } }),
  } as unknown as Journal<PoolShape>;
  const commit = (event: Event, isTold = true) => {
    const committed = { revision: records.length + 1, time: 0, epoch: 1, events: [event] };
    records.push(committed);
    if (event.type === 'request.ended' || event.type === 'lease.granted') waiting.delete(event.data.request);
    if (isTold) for (const listener of [...listeners]) listener(committed);
  };
  return { journal, commit, looks: () => looks };
}

const callWith = (signal: AbortSignal, swarm = 'a') => ({ signal, principal: { kind: 'swarm', swarm } }) as Call;
const CALL = callWith(new AbortController().signal);
const asked = (request: string, revision: number) =>
  ({ request, lease: undefined, revision: String(revision) }) as RequestAgentResponse;
const settled = () => new Promise((resolve) => setImmediate(resolve));

test('who waits is told at the commit; an answer that waits for nothing goes through', async () => {
  const { journal, commit } = journalOf(new Set(['r1', 'r2']));
  using grants = new Grants(journal, systemClock);
  const [first, again, other] = ['r1', 'r1', 'r2'].map((id) => grants.awaited(asked(id, 0), CALL));
  await settled();
  commit(granted('r1', 'l1'));
  expect([await first, await again]).toMatchObject([{ request: 'r1', lease: { id: 'l1' } }, { lease: { id: 'l1' } }]);
  commit(ended('r2', true));
  await expect(other).rejects.toMatchObject({ code: 'CANCELLED', reason: 'REQUEST_WITHDRAWN' });
  const answer = { ...asked('r3', 0), lease: { id: 'l' } } as RequestAgentResponse;
  expect(await grants.awaited(answer, CALL)).toBe(answer);
});

test('one that ended before anybody listened is found, from the revision of its answer on', async () => {
  const { journal, commit } = journalOf(new Set(['r1', 'r2']));
  using grants = new Grants(journal, systemClock);
  commit(granted('r1', 'l1'));
  commit(ended('r2', false));
  expect((await grants.awaited(asked('r1', 0), CALL)).lease).toEqual({ id: 'l1' });
  await expect(grants.awaited(asked('r2', 1), CALL)).rejects.toMatchObject({ reason: 'NO_AGENT_FREE' });
});

test('one that ended without a word to listeners, as when a replica is loaded again, is found', async () => {
  const { journal, commit } = journalOf(new Set(['r1']));
  const quick: Clock = { ...systemClock, after: (_, run) => systemClock.after(1, run) };
  using grants = new Grants(journal, quick);
  const waiting = grants.awaited(asked('r1', 0), CALL);
  await settled();
  commit(granted('r1', 'l1'), false);
  expect((await waiting).lease).toEqual({ id: 'l1' });
});

test('a call that is over waits no longer', async () => {
  const { journal } = journalOf(new Set(['r1']));
  using grants = new Grants(journal, systemClock);
  const leaving = new AbortController();
  const waiting = grants.awaited(asked('r1', 0), callWith(leaving.signal));
  await settled();
  leaving.abort(new Error('enough'));
  await expect(waiting).rejects.toThrow('enough');
});

test('one caller cannot take all places, and who leaves makes room', async () => {
  const ids = Array.from({ length: 1025 }, (_, i) => `r${i}`);
  const { journal, commit } = journalOf(new Set(ids));
  using grants = new Grants(journal, systemClock);
  const waiting = ids.slice(0, 1024).map((id) => grants.awaited(asked(id, 0), CALL));
  const late = () => grants.awaited(asked('r1024', 0), CALL);
  await expect(late()).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryable: true, retryAfterMs: 2000 });
  const other = grants.awaited(asked('r1024', 0), callWith(CALL.signal, 'b'));
  commit(granted('r0', 'l0'));
  await waiting[0];
  const placed = late();
  commit(granted('r1024', 'l'));
  expect([(await placed).lease, (await other).lease]).toEqual([{ id: 'l' }, { id: 'l' }]);
});

test('thousands that wait look at nothing while others are served', async () => {
  const ids = Array.from({ length: 2000 }, (_, i) => `r${i}`);
  const { journal, commit, looks } = journalOf(new Set(ids));
  using grants = new Grants(journal, systemClock);
  const swarmed = (i: number) => callWith(CALL.signal, i % 2 === 0 ? 'a' : 'b');
  const waiting = ids.map((id, i) => grants.awaited(asked(id, 0), swarmed(i)));
  await settled();
  for (let i = 0; i < 1000; i++) commit(granted(`other${i}`, 'l'));
  await settled();
  expect(looks()).toBe(0);
  for (const id of ids) commit(granted(id, `l-${id}`));
  expect((await Promise.all(waiting)).map(({ lease }) => lease?.id)).toEqual(ids.map((id) => `l-${id}`));
});
