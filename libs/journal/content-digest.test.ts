import fc from 'fast-check';
import { expect, test } from 'vitest';
import { contentDigest } from './content-digest.ts';

test('fields with their default value make no other content', () => {
  const old = { id: 'a', spec: { labels: { x: '1' } } };
  const now = {
    id: 'a',
    spec: { labels: { x: '1' }, tags: [], note: '', kind: 'KIND_UNSPECIFIED' },
    from: '0',
    dry: false,
  };
  expect(contentDigest(now)).toBe(contentDigest(old));
  expect(contentDigest({ ...now, dry: true })).not.toBe(contentDigest(old));
  expect(contentDigest({ ...old, spec: { labels: { x: '2' } } })).not.toBe(contentDigest(old));
});

test('of any two inputs the same digest means the same JSON, less what is default', () => {
  const digests = new Map<string, string>();
  fc.assert(
    fc.property(fc.jsonValue({ maxDepth: 4 }), (input) => {
      const text = JSON.stringify(input, (_, value) => (isDefault(value) ? undefined : value)) ?? '';
      const digest = contentDigest(input);
      expect(digest).toMatch(/^[\w-]{9}$/);
      expect(digests.get(digest) ?? text).toBe(text);
      digests.set(digest, text);
    }),
    { numRuns: 2000 },
  );
});

test('neighbouring fields and items do not run into each other', () => {
  const inputs = [
    ...[{ a: 'bc' }, { ab: 'c' }, { a: 'b', c: 'd' }, { a: { b: 'c' } }, { a: ['b', 'c'] }, { a: [['b'], 'c'] }],
    ...[
      { a: ['b', ['c']] },
      { a: 1 },
      { a: '1' },
      { a: true },
      { a: 'true' },
      { a: [0, 1] },
      { a: [1, 0] },
      { a: [1] },
    ],
    ...[{ a: 10 }, {}],
  ];
  expect(new Set(inputs.map(contentDigest)).size).toBe(inputs.length);
});

const isDefault = (value: unknown): boolean =>
  !value ||
  value === '0' ||
  (typeof value === 'string' && value.endsWith('_UNSPECIFIED')) ||
  (typeof value === 'object' && Object.keys(value).length === 0);
