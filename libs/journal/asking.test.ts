import { expect, test } from 'vitest';
import type { Shape } from '../protocol/machine.ts';
import { ANONYMOUS, type Principal } from '../protocol/principal.ts';
import { type AskingDeps, answerForwarded } from './asking.ts';
import type { Waiting } from './group.ts';

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
