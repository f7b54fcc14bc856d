import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import type { Call } from '../protocol/call.ts';
import type { Shape } from '../protocol/machine.ts';
import { ANONYMOUS, type Principal } from '../protocol/principal.ts';
import { RequestIds } from '../protocol/request-ids.ts';
import { callBy } from '../testkit/call.ts';
import { type AskingDeps, answerForwarded, ask } from './asking.ts';
import type { Waiting } from './group.ts';
import { leaderChanged } from './leader.ts';
import type { Forwarded, ForwardReply } from './ports.ts';

const ADA: Principal = { kind: 'operator', name: 'ada', key: 'k' };

test('a command that is forwarded without a token never comes to the leader; a read does', async () => {
  const submitted: string[] = [];
  const submit = ({ name, settle }: Waiting) => {
    submitted.push(name);
    settle({ reply: 'done' });
  };
  const deps = { leader: () => ({ submit }) } as unknown as AskingDeps<Shape>;
  const door = { authenticate: (token: string) => (token === '' ? ANONYMOUS : ADA) };
  const { signal } = new AbortController();
  const forwarded = (kind: string, name: string, token: string) =>
    answerForwarded(
      deps,
      door,
      { kind, name, token, input: {}, trace: { traceparent: '', correlationId: '', hops: 0 } },
      signal,
    );
  expect(await forwarded('command', 'put', '')).toMatchObject({
    error: { code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING' },
  });
  expect(await forwarded('command', 'put', 'ada')).toEqual({ reply: 'done' });
  expect(await forwarded('query', 'get', '')).toEqual({ reply: 'done' });
  expect(submitted).toEqual(['put', 'get']);
});

test('a command without a request id has one when it goes round, the same each time: it may be asked again while it is done', async () => {
  const changed = { error: leaderChanged().toJSON() };
  const answers: ForwardReply[] = [changed, changed, { reply: 'done' }, { reply: 'done' }, { reply: 'done' }];
  const asked: Forwarded[] = [];
  const forward = async (forwarded: Forwarded) => {
    asked.push(forwarded);
    return answers.shift() as ForwardReply;
  };
  const deps = {
    ...{ line: { forward }, clock: systemClock, forwardMs: 60_000, requestIds: new RequestIds('replica') },
    ...{
      leader: () => undefined,
      leads: () => new Promise<void>(() => {}),
      check: () => {},
      obstacle: () => undefined,
    },
  } as unknown as AskingDeps<Shape>;
  const put = (change: Partial<Call> = {}) =>
    ask(deps, { kind: 'command', name: 'put', input: {}, call: callBy(ADA, change) });
  expect(await put()).toBe('done');
  expect(await put()).toBe('done');
  expect(await put({ isIdempotent: true })).toBe('done');
  const ids = asked.map(({ request }) => request && `${request.client}:${request.counter}`);
  expect(ids.slice(0, 3)).toEqual(Array(3).fill(ids[0]));
  expect(ids[0]).toMatch(/^replica-\w+-1:1$/);
  expect(ids.slice(3)).toEqual([expect.stringMatching(/:2$/), undefined]);
});
