import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { SAMPLES } from './fixtures.ts';
import { KINDS, kindNamed, parseAsked } from './index.ts';
import { kindTable } from './kind.ts';

/** How each kind looks on a narrow and on a wide terminal: read the golden files when they change. */

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00Z') });
});
afterEach(() => {
  vi.useRealTimers();
});

test.each(KINDS.map((kind) => kind.name))('%s: table at 80 and 160 columns, and details', async (name) => {
  const kind = kindNamed(name);
  const items = SAMPLES[name] ?? [];
  expect(items.length).toBeGreaterThan(0);
  for (const width of [80, 160]) {
    const text = kindTable(kind, items, {}, width);
    for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(width);
    await expect(`${text}\n`).toMatchFileSnapshot(`golden/${name}-${width}.txt`);
  }
  const details = items.map((item) => kind.details(item)).join('\n\n');
  await expect(`${details}\n`).toMatchFileSnapshot(`golden/${name}-details.txt`);
});

test('nothing is said in words', () => {
  for (const kind of KINDS) expect(kindTable(kind, [])).toBe(kind.none);
  expect(kindTable(kindNamed('tasks'), [], { swarm: 'code', labels: { a: 'b' } })).toBe(
    'no tasks (with --swarm code --label a=b)',
  );
});

test('a kind is found by any of its names; no two kinds share one; a wrong one is told what was meant', () => {
  const names = KINDS.flatMap(({ name, plural, aliases }) => [name, plural, ...aliases]);
  expect(new Set(names).size).toBe(names.length);
  for (const name of names) expect(kindNamed(name.toUpperCase())).toBeDefined();
  expect(() => kindNamed('agnets')).toThrow('did you mean agents?');
  for (const text of ['pods-of-whales', 'x']) expect(() => kindNamed(text)).toThrow('there are federations');
});

test('what is asked for: kinds, names, or a name behind a slash', () => {
  const asked = (what: string, ...names: string[]) => {
    const { kinds, names: found } = parseAsked(what, names);
    return [kinds.map(({ name }) => name).join(), ...found];
  };
  expect(asked('tasks')).toEqual(['task']);
  expect(asked('swarms,agents')).toEqual(['swarm,agent']);
  expect(asked('agent/code/x', 'code/y')).toEqual(['agent', 'code/x', 'code/y']);
  expect(asked('all')[0]?.split(',')).toHaveLength(KINDS.length);
  expect(() => asked('swarms,agents', 'x')).toThrow('needs a single kind');
});
