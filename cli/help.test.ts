import { Command, Option } from 'commander';
import { expect, test } from 'vitest';
import { configureHelp, exampleText, terms } from './help.ts';
import { duration, list } from './values.ts';

const described = (add: (command: Command) => Command): string =>
  add(configureHelp(new Command('x')))
    .helpInformation()
    .split('\n')
    .find((line) => line.includes('--it'))
    ?.replace(/^ +\S+ \S+ +/, '') ?? '';

test.each([
  ['what must be given', (c: Command) => c.requiredOption('--it <x>', 'a thing'), 'a thing (required)'],
  ['no empty list', (c: Command) => c.option('--it <x>', 'things', list, []), 'things'],
  ['no empty text', (c: Command) => c.option('--it <x>', 'a text', ''), 'a text'],
  ['a number', (c: Command) => c.option('--it <x>', 'a number', Number, 0), 'a number (default: 0)'],
  ['a default in words', (c: Command) => c.requiredOption('--it <x>', 'a (default: b)'), 'a (required; default: b)'],
  ['a choice', (c: Command) => c.addOption(new Option('--it <x>', 'a').choices(['b', 'c'])), 'a (one of b, c)'],
])('help says %s', (_, add, text) => {
  expect(described(add)).toBe(text);
});

test('help says what a time looks like, also by default', () => {
  const help = configureHelp(new Command('x')).option('--it <x>', 'a time', duration, 10_000).helpInformation();
  expect(help.replace(/\s+/g, ' ')).toContain('a time (e.g. 30s or 5m; default: 10s)');
});

test('what is too long for a line goes on below: a call as a shell takes it, a meaning below its beginning', () => {
  const call = `hivebus task submit --swarm code --payload '{"long": "--text in quotes is never broken"}' --wait`;
  expect(exampleText(call)).toBe(
    `  hivebus task submit --swarm code \\\n      --payload '{"long": "--text in quotes is never broken"}' --wait`,
  );
  expect(exampleText('hivebus status --x')).toBe('  hivebus status --x');
  const long = 'word '.repeat(20).trim();
  expect(
    terms([
      ['a', long],
      ['bcd', 'short'],
    ]).split('\n'),
  ).toEqual([`  a    ${'word '.repeat(14).trim()}`, `       ${'word '.repeat(6).trim()}`, '  bcd  short']);
});
