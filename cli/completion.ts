import type { Argument, Command, Option } from 'commander';
import { findKind, KINDS, kindNamed } from './kinds/index.ts';

/** What can stand at the cursor: words with a hint for people each, or files. */
export type Candidates = readonly (readonly [word: string, hint: string])[] | 'files';

/** Where names that change come from: things of a kind, or contexts. Gives nothing when they cannot be had at once. */
export type Names = (of: string) => Promise<readonly string[]>;

/** What `Names` is asked for where a task that has ended would be no use. */
export const OPEN_TASK = 'open task';

/** Options whose values are names of things. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  '--swarm': 'swarm',
  '--from': 'swarm',
  '--to': 'swarm',
  '--task': 'task',
  '--group': 'group',
  '--after': 'task',
  '--federation': 'federation',
  '--context': 'context',
};

/** Options whose values are files. */
const OPTION_FILES = ['--file', '--home', '--data'];

/** Arguments that are names of things, by the command. */
const ARGUMENT_NAMES: Readonly<Record<string, string>> = {
  'task get': 'task',
  'task cancel': OPEN_TASK,
  'task logs': 'task',
  'task approve': OPEN_TASK,
  'task reject': OPEN_TASK,
  'group get': 'group',
  'group pause': 'group',
  'group resume': 'group',
  'group cancel': 'group',
  'group approve': 'group',
  'group reject': 'group',
  explain: 'task',
  'request get': 'request',
  'request withdraw': 'request',
  'release-resource': 'lease',
  'deregister-swarm': 'swarm',
  'set limits': 'swarm',
  'set lending': 'swarm',
  'context use': 'context',
  'context set': 'context',
  'context delete': 'context',
};

/**
 * What can complete the last of `words`, which follow the program's name. The tree of commands says it, but for names of
 * things, which are asked for.
 */
export async function complete(program: Command, words: readonly string[], names: Names): Promise<Candidates> {
  const current = words.at(-1) ?? '';
  const { command, path, operands, pending } = follow(program, words.slice(0, -1));
  const found = await possible(command, path, operands, pending, current, names);
  if (found === 'files') return found;
  return found.filter(([word]) => word.startsWith(current)).sort(([a], [b]) => (a < b ? -1 : 1));
}

interface Position {
  readonly command: Command;
  /** The command's name, e.g. `task get`. */
  readonly path: string;
  /** Arguments before the cursor. */
  readonly operands: readonly string[];
  /** The option before the cursor that wants a value. */
  readonly pending: Option | undefined;
}

function follow(program: Command, words: readonly string[]): Position {
  let command = program;
  const path: string[] = [];
  const operands: string[] = [];
  let pending: Option | undefined;
  for (const word of words) {
    if (pending) {
      pending = undefined;
      continue;
    }
    if (word.startsWith('-')) {
      const option = optionsOf(command).find(({ long, short }) => word === long || word === short);
      if (option?.required || option?.optional) pending = option;
      continue;
    }
    const next = operands.length === 0 ? command.commands.find((each) => each.name() === word) : undefined;
    if (next) {
      command = next;
      path.push(word);
    } else operands.push(word);
  }
  return { command, path: path.join(' '), operands, pending };
}

/** A command's own options, and those of all before it. */
function optionsOf(command: Command): Option[] {
  const own = command.options.filter(({ hidden }) => !hidden);
  return command.parent ? [...own, ...optionsOf(command.parent)] : own;
}

async function possible(
  command: Command,
  path: string,
  operands: readonly string[],
  pending: Option | undefined,
  current: string,
  names: Names,
): Promise<Candidates> {
  if (pending) return valuesOf(pending, names);
  if (current.startsWith('-')) {
    return optionsOf(command).map(({ long, short, description }) => [long ?? short ?? '', description] as const);
  }
  const commands = command.commands.filter((each) => !isHidden(each));
  if (commands.length > 0 && operands.length === 0) {
    return commands.map((each) => [each.name(), each.description()] as const);
  }
  const argument = argumentAt(command, operands.length);
  return argument ? await argumentValues(argument, path, operands, current, names) : [];
}

/** Commander keeps it to itself. */
const isHidden = (command: Command): boolean => command.name().startsWith('_');

async function valuesOf(option: Option, names: Names): Promise<Candidates> {
  const { argChoices, long = '', description } = option;
  if (argChoices) return argChoices.map((choice) => [choice, description] as const);
  if (OPTION_FILES.includes(long)) return 'files';
  const of = OPTION_NAMES[long];
  return of ? hinted(await names(of), of) : [];
}

/** The last argument may take many. */
function argumentAt(command: Command, index: number): Argument | undefined {
  const known = command.registeredArguments;
  const last = known.at(-1);
  return known[index] ?? (last?.variadic ? last : undefined);
}

async function argumentValues(
  argument: Argument,
  path: string,
  operands: readonly string[],
  current: string,
  names: Names,
): Promise<Candidates> {
  if (argument.argChoices) return argument.argChoices.map((choice) => [choice, ''] as const);
  if (argument.name() === 'kind') return kinds(current, names, path === 'delete');
  const [kind] = operands;
  const known = kind === undefined ? undefined : findKind(kind);
  // What has ended can be neither deleted nor cancelled.
  const wanted = path === 'delete' && known?.name === 'task' ? OPEN_TASK : known?.name;
  if (known && wanted) return hinted(await names(wanted), known.name);
  const of = ARGUMENT_NAMES[path];
  return of ? hinted(await names(of), of === OPEN_TASK ? 'task' : of) : [];
}

/** Kinds, or behind a slash their names. */
async function kinds(current: string, names: Names, removable: boolean): Promise<Candidates> {
  const slash = current.indexOf('/');
  const offered = KINDS.filter(({ remove }) => remove !== undefined || !removable);
  if (slash < 0) return offered.map(({ plural, what }) => [plural, what] as const);
  const given = current.slice(0, slash);
  if (!findKind(given)) return [];
  const { name } = kindNamed(given);
  return (await names(removable && name === 'task' ? OPEN_TASK : name)).map(
    (each) => [`${given}/${each}`, name] as const,
  );
}

const hinted = (names: readonly string[], hint: string) => names.map((name) => [name, hint] as const);
