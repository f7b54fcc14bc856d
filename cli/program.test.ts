import type { Command } from 'commander';
import { expect, test } from 'vitest';
import { createProgram } from './program.ts';

/** Every command that does something, by its name after `hivebus`. */
function leaves(command: Command, path: readonly string[] = []): [path: string, command: Command][] {
  const below = command.commands
    .filter((each) => !each.name().startsWith('_') && each.name() !== 'help')
    .flatMap((each) => leaves(each, [...path, each.name()]));
  const acts = command.commands.length === 0 || command.registeredArguments.length > 0 || path.join(' ') === 'doctor';
  return acts && path.length > 0 ? [[path.join(' '), command], ...below] : below;
}

function helpOf(command: Command): string {
  const parts: string[] = [];
  command.configureOutput({ writeOut: (part) => void parts.push(part) }).outputHelp();
  return parts.join('');
}

const program = createProgram();
const ALL = new Map(leaves(program));
/** Programs that are told how to begin, not how hivebus is called. */
const FOREIGN = /^(bash|zsh|fish) /;

test.each([...ALL])('%s has examples, and they are calls that it takes', (_, command) => {
  const [, examples = ''] = helpOf(command).split('\nExamples:\n');
  const lines = examples
    .replaceAll(/ \\\n +/g, ' ')
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line.includes('hivebus '));
  expect(lines.length).toBeGreaterThan(0);
  for (const line of lines) expect(FOREIGN.test(line) || unknownIn(line)).toBeOneOf([true, '']);
});

test('no line of help is wider than 80 columns, whatever the command', () => {
  const every = (command: Command): Command[] => [command, ...command.commands.flatMap(every)];
  const wide = every(program).flatMap((command) => {
    command.configureOutput({ getOutHelpWidth: () => 80 });
    const lines = helpOf(command).split('\n');
    return lines.filter(({ length }) => length > 80).map((line) => `${command.name()}: ${line}`);
  });
  expect(wide).toEqual([]);
});

/** The first word of an example that no command takes; empty = none. */
function unknownIn(line: string): string {
  const call = (line.split(/(?:^|\| )hivebus /)[1] ?? '').replaceAll(/'[^']*'/g, 'x').split(' -- ')[0] ?? '';
  const words = call.split(/\s+/);
  const named = [...ALL.keys()].filter((path) => {
    const plain = words.filter((word) => !word.startsWith('-')).join(' ');
    return ` ${plain} `.includes(` ${path} `);
  });
  const command = ALL.get(named.sort((a, b) => b.length - a.length)[0] ?? '');
  if (!command) return `no command in ${line}`;
  const known = [...command.options, ...(command.parent?.options ?? []), ...program.options];
  const options = words.filter((word) => /^-/.test(word) && word !== '-').map((word) => word.split('=')[0]);
  return options.find((word) => !known.some(({ long, short }) => word === long || word === short)) ?? '';
}
