import { Command, Option } from 'commander';
import { expect, test } from 'vitest';
import { configureHelp } from './help.ts';
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
