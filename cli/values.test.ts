import { expect, test } from 'vitest';
import {
  agentPath,
  ago,
  between,
  duration,
  idOf,
  jsonOf,
  keyValue,
  list,
  listOf,
  missingOptions,
  port,
  shellWord,
  someTime,
  textOf,
  unreadable,
  wholeNumber,
  word,
} from './values.ts';

test('what is missing of options that are required here is said as commander says it', () => {
  expect(missingOptions({ '--swarm <name>': 'code', '--type <type>': 'x' })).toBeUndefined();
  expect(missingOptions({ '--swarm <name>': 'code', '--type <type>': '' })).toMatchObject({
    ...{ code: 'INVALID_ARGUMENT', message: "required option '--type <type>' not specified (--help says more)" },
  });
});

test('options are parsed or refused with what they must be', () => {
  expect(list('a,b', ['c'])).toEqual(['c', 'a', 'b']);
  const fruit = listOf(['apple', 'pear']);
  expect(fruit('pear,apple', fruit('apple'))).toEqual(['apple', 'pear', 'apple']);
  expect(() => fruit('apple,paer')).toThrow('Allowed choices are apple, pear. Did you mean pear?');
  expect(() => fruit(',')).toThrow('Allowed choices');
  expect(wholeNumber('12')).toBe(12);
  expect(() => wholeNumber('9'.repeat(20))).toThrow('too large');
  expect(duration('49d')).toBe(49 * 86_400_000);
  expect(() => duration('0.1ms')).toThrow('at least 1ms, or 0s');
  expect(duration('0ms')).toBe(0);
  expect(() => duration('50d')).toThrow('at most 49d');
  expect(() => wholeNumber('1.5')).toThrow('whole number');
  expect(() => wholeNumber('-3')).toThrow('from 0');
  expect(someTime('30s')).toBe(30_000);
  expect(() => someTime('0s')).toThrow('longer than 0s');
  expect(duration('1.5s')).toBe(1500);
  expect(() => duration('5')).toThrow('30s');
  expect(keyValue('a=b=c', { d: 'e' })).toEqual({ d: 'e', a: 'b=c' });
  expect(() => keyValue('a')).toThrow('KEY=VALUE');
  expect(port('0')).toBe(0);
  expect(() => port('65536')).toThrow('port');
});

test('a file that cannot be read is told by its name and what is wrong with it', async () => {
  await expect(textOf('@nosuch.sh')).rejects.toThrow('cannot read "nosuch.sh": there is no such file or folder');
  await expect(textOf(`@${import.meta.dirname}`)).rejects.toThrow('it is a folder; name a file');
  await expect(textOf(`@${import.meta.filename}/x`)).rejects.toThrow('is a file, not a folder');
  const denied = Object.assign(new Error('EACCES: permission denied'), { code: 'EACCES' });
  expect(unreadable('/root/x', denied)).toMatchObject({
    ...{ code: 'INVALID_ARGUMENT', message: 'cannot read "/root/x": its permissions do not let you read it' },
  });
  expect(unreadable('x', new Error('EIO: i/o error')).message).toBe('cannot read "x": EIO: i/o error');
});

test('a word for a shell is in quotes where it must be', () => {
  expect(['gpu=yes', 'a b', "it's", ''].map(shellWord)).toEqual(['gpu=yes', "'a b'", "'it'\\''s'", "''"]);
});

test('JSON that is none is told with its option and value', async () => {
  expect(await jsonOf('--payload', '{"a":1}')).toEqual({ a: 1 });
  await expect(jsonOf('--payload', '{a')).rejects.toThrow(/--payload: "\{a" must be JSON/);
  await expect(jsonOf('--payload', '@/nowhere')).rejects.toThrow(/cannot read "\/nowhere"/);
});

test('a number that JSON cannot hold is refused, and not sent as null', async () => {
  await expect(jsonOf('--payload', '{"a": [1, {"b": -1e400}]}')).rejects.toThrow(
    /--payload: .* has a number that is too large for JSON readers at a\.1\.b/,
  );
  await expect(jsonOf('--payload', '1e400')).rejects.toThrow('too large');
  expect(await jsonOf('--payload', '[1e300, "1e400"]')).toEqual([1e300, '1e400']);
});

test('an integer that would be rounded is refused', async () => {
  await expect(jsonOf('--payload', '{"a\\"": [1, -12345678901234567890]}')).rejects.toThrow(
    /--payload: .* has the number -12345678901234567890, which is beyond 2\^53/,
  );
  const kept = '[9007199254740991, 1e20, 0.1234567890123456789, "12345678901234567890"]';
  expect(await jsonOf('--payload', kept)).toEqual(JSON.parse(kept));
});

test('times and words for people', () => {
  expect(word('TASK_STATE_TIMED_OUT', 'TASK_STATE')).toBe('timed-out');
  const now = Date.parse('2026-01-01T00:01:00Z');
  expect(ago('2026-01-01T00:00:00Z', now)).toBe('1m ago');
  expect(ago(undefined)).toBe('-');
  expect(between('2026-01-01T00:00:58.5Z', undefined, now)).toBe('1.5s');
});

test('an id may be as -o name writes it', () => {
  expect(['t1', 'task/t1', 'lease/t1'].map(idOf('task'))).toEqual(['t1', 't1', 'lease/t1']);
  expect(['docs/x', 'agent/docs/x', 'agent/x'].map(agentPath)).toEqual(['docs/x', 'docs/x', 'agent/x']);
});
