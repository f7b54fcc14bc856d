import { expect, test } from 'vitest';
import { HiveError } from '../kernel/errors.ts';
import { Faults } from './validate.ts';

function told(check: (faults: Faults) => unknown): string[] {
  const faults = new Faults();
  check(faults);
  try {
    faults.throwIfAny();
    return [];
  } catch (error) {
    if (!(error instanceof HiveError)) throw error;
    return error.violations.map((v) => `${v.field}: ${v.value} ${v.rule}`);
  }
}

test('what is right passes', () => {
  expect(
    told((f) => {
      f.name('a', 'code-1');
      f.optionalName('a', '');
      f.length('a', 'abc', 3, 1);
      f.range('a', 5, 5, 5);
      f.optionalRange('a', 0, 5, 6);
      f.list('a', ['x'], 1, (path, item) => f.name(path, item));
      f.map('a', { k: 'v' }, 1, (path, key) => f.name(path, key));
      f.distinct('a', ['x', 'y']);
      f.oneOf('a', 'ring', ['ring', 'star']);
      f.optionalOneOf('a', '', ['ring']);
      f.optionalUrl('a', '', 5);
      f.optionalUrl('a', 'nats://host:4222', 64, ['nats']);
      f.revision('a', '9007199254740991');
      f.jsonSize('a', undefined, 0);
      f.jsonSize('a', 'ä', 4);
    }),
  ).toEqual([]);
});

test('everything that is wrong is told at once', () => {
  expect(
    told((f) => {
      f.name('name', 'A');
      f.length('text', 'abcd', 3);
      f.length('text', '', 3, 1);
      f.range('n', Number.NaN, 0, 1);
      f.range('n', Number.POSITIVE_INFINITY, 0, 1);
      f.list('list', ['ok', 'No'], 2, (path, item) => f.name(path, item));
      f.list('long', [1, 2], 1);
      f.map('map', { K: 'v' }, 1, (path, key) => f.name(path, key));
      f.distinct('tags', ['x', 'y', 'x']);
      f.oneOf('shape', 'cube', ['ring', 'star']);
      f.optionalUrl('url', 'host', 64);
      f.optionalUrl('url', 'ftp://host', 64, ['nats', 'https']);
      f.optionalUrl('url', 'https://host', 3);
      f.revision('revision', '18446744073709551615');
      f.jsonSize('payload', 'abc', 4);
    }),
  ).toEqual([
    'name: "A" must match [a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?',
    'text: "abcd" must have at most 3 characters, has 4',
    'text: "" must not be empty',
    'n: "NaN" must be 0 to 1',
    'n: "Infinity" must be 0 to 1',
    'list[1]: "No" must match [a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?',
    'long: "2 items" must have at most 1 items',
    'map["K"]: "K" must match [a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?',
    'tags: "x" must not be there twice',
    'shape: "cube" must be ring, star',
    'url: "host" must be a URL such as nats://host:4222',
    'url: "ftp://host" must begin with nats:// or https://',
    'url: "https://host" must have at most 3 characters, has 12',
    'revision: "18446744073709551615" must be 0 to 9007199254740991',
    'payload: "5 bytes" must have at most 4 bytes as JSON',
  ]);
});
