import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import type { Shape } from '../protocol/machine.ts';
import { ANONYMOUS, type Principal } from '../protocol/principal.ts';
import { type AskingDeps, answerForwarded } from './asking.ts';
import type { Waiting } from './group.ts';
import { leaderChanged } from './leader.ts';

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
  const ask = (kind: string, name: string, token: string) =>
    answerForwarded(
      deps,
      door,
      { kind, name, token, input: {}, trace: { traceparent: '', correlationId: '', hops: 0 } },
      signal,
    );
  expect(await ask('command', 'put', '')).toMatchObject({
    error: { code: 'UNAUTHENTICATED', reason: 'TOKEN_MISSING' },
  });
  expect(await ask('command', 'put', 'ada')).toEqual({ reply: 'done' });
  expect(await ask('query', 'get', '')).toEqual({ reply: 'done' });
  expect(submitted).toEqual(['put', 'get']);
});

test('who does not lead after all says so of what may be repeated, and nothing of the rest: a rival may have done it', async () => {
  const door = { authenticate: () => ADA };
  const { signal } = new AbortController();
  const obstacle = (): HiveError | undefined => undefined;
  const lost = { leader: () => undefined, change: () => Promise.resolve(), obstacle } as unknown as AskingDeps<Shape>;
  const ended = (error: HiveError) =>
    ({
      leader: () => ({ submit: ({ settle }: Waiting) => settle({ error }) }),
      obstacle,
    }) as unknown as AskingDeps<Shape>;
  const ask = (deps: AskingDeps<Shape>, kind: string, how: object = {}) => {
    const trace = { traceparent: '', correlationId: '', hops: 0 };
    return answerForwarded(deps, door, { kind, name: 'put', token: 't', input: {}, trace, ...how }, signal);
  };
  const changed = { error: { code: 'UNAVAILABLE', reason: 'LEADER_CHANGED' } };
  for (const deps of [lost, ended(leaderChanged())]) {
    expect(await ask(deps, 'command', { request: { client: 'c', counter: 1 } })).toMatchObject(changed);
    expect(await ask(deps, 'command', { isIdempotent: true })).toMatchObject(changed);
    expect(await ask(deps, 'query')).toMatchObject(changed);
    expect(await ask(deps, 'command')).toBeUndefined();
  }
  const hindered = (code: 'RESOURCE_EXHAUSTED' | 'UNAVAILABLE') => ({
    ...lost,
    obstacle: () => new HiveError(code, 'it cannot be written', { retryable: true }),
  });
  expect(await ask(hindered('UNAVAILABLE'), 'command')).toBeUndefined();
  expect(await ask(hindered('RESOURCE_EXHAUSTED'), 'command')).toMatchObject({ error: { code: 'RESOURCE_EXHAUSTED' } });
  const refused = ended(new HiveError('ALREADY_EXISTS', 'it is there'));
  expect(await ask(refused, 'command')).toMatchObject({ error: { code: 'ALREADY_EXISTS' } });
});
