import { Argument, Command, Option } from 'commander';
import { expect, test } from 'vitest';
import { complete } from './completion.ts';

const program = new Command('hivebus').option('--swarm <name>', 'which').option('--quiet', 'less');
program.addOption(new Option('-o, --output <format>', 'form').choices(['table', 'json']));
program.command('get').argument('<kind>').argument('[name...]').option('--all', 'more');
program.command('delete').argument('<kind>').argument('[name...]');
program.command('apply').option('-f, --file <path>', 'which');
program.command('completion').addArgument(new Argument('<shell>').choices(['bash', 'fish']));
program.command('__complete', { hidden: true });
const task = program.command('task');
for (const name of ['logs', 'cancel']) task.command(name).argument('<id>');

const asked: string[] = [];
const names = async (of: string) => {
  asked.push(of);
  return [`${of}-1`, `${of}-2`];
};
const at = async (...words: string[]) => {
  const found = await complete(program, words, names);
  return found === 'files' ? found : found.map(([word]) => word).join(' ');
};

test('commands, options, choices and files come from the tree of commands', async () => {
  expect(await at('')).toBe('apply completion delete get task');
  expect(await at('c')).toBe('completion');
  expect(await at('task', '')).toBe('cancel logs');
  expect(await at('get', 'swarms', '--')).toBe('--all --output --quiet --swarm');
  expect(await at('get', '-o', 'j')).toBe('json');
  expect(await at('completion', '')).toBe('bash fish');
  expect(await at('apply', '-f', '')).toBe('files');
  expect(await at('apply', 'x', '')).toBe('');
  expect(asked).toEqual([]);
});

test('names of things are asked for where they are wanted', async () => {
  expect(await at('get', 'ag')).toBe('agents');
  expect(await at('get', 'sw', '')).toBe('swarm-1 swarm-2');
  expect(await at('get', 'swarms', 'swarm-1', 'swarm-2')).toBe('swarm-2');
  expect(await at('get', 'task/')).toBe('task/task-1 task/task-2');
  expect(await at('get', 'whales', '')).toBe('');
  expect(await at('--swarm', '')).toBe('swarm-1 swarm-2');
  expect(await at('--quiet', 'task', 'logs', '')).toBe('task-1 task-2');
  expect(await at('task', 'cancel', '')).toBe('open task-1 open task-2');
});

test('only what can be deleted is offered to be deleted', async () => {
  expect(await at('delete', 'task', '')).toBe('open task-1 open task-2');
  expect(await at('delete', 'task/')).toBe('task/open task-1 task/open task-2');
  expect(await at('delete', 'swarm', '')).toBe('swarm-1 swarm-2');
  expect(await at('delete', 'f')).toBe('');
  expect(await at('get', 'f')).toBe('federations');
});
