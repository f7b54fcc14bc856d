import { expect, test } from 'vitest';
import { analyse } from './analysis.ts';
import { entropy } from './secrets.ts';

const TYPESCRIPT = `import x from 'y';
/** A block
 * comment. */
export function short() { return '}'; }

class A {
  // ${'TODO'}: tidy up
  async long(a: string): Promise<void> {
    if (a) {
      go(a);
    }
    return;
  }
}
const arrow = (b: number) => {
  return b;
};
`;

test('lines, functions and marks of TypeScript', () => {
  const found = analyse('src/a.ts', TYPESCRIPT);
  expect(found).toMatchObject({
    language: 'TypeScript',
    lines: { total: 17, blank: 1, comment: 3, code: 13, long: 0 },
    functions: 3,
    longest: { name: 'long', line: 8, lines: 6 },
    marks: [{ kind: 'TODO', line: 7, text: 'tidy up' }],
    secrets: [],
  });
});

test('functions of Python end where the indentation does', () => {
  const found = analyse('a.py', 'def f(x):\n    if x:\n        return 1\n\n    return 2\n\ndef g():\n    pass\n');
  expect(found.longest).toEqual({ name: 'f', line: 1, lines: 5 });
  expect(found.functions).toBe(2);
});

test('a mark counts in a comment only, where comments are known', () => {
  expect(analyse('a.ts', `const s = '${'TODO'}: x';`).marks).toEqual([]);
  expect(analyse('notes', `${'FIXME'}(me): x`).marks).toEqual([{ kind: 'FIXME', line: 1, text: 'x' }]);
});

test('likely secrets are found and not repeated', () => {
  const token = ['gh', 'p_', 'a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8'].join('');
  const lines = [
    `x = "${token}"`,
    'password = "correct-horse"',
    `api_key: '${'q8Zt3Lw9Xv2Rk7Bn'}'`,
    'token = process.env.TOKEN',
  ];
  const { secrets } = analyse('a.py', lines.join('\n'));
  expect(secrets.map((each) => [each.rule, each.line])).toEqual([
    ['GitHub token', 1],
    ['random text given to a secret name', 3],
  ]);
  expect(JSON.stringify(secrets)).not.toContain(token);
});

test('entropy', () => {
  expect(entropy('aaaa')).toBeCloseTo(0);
  expect(entropy('abcd')).toBe(2);
});
