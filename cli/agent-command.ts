import { spawnSync } from 'node:child_process';
import { accessSync, constants, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { HiveError, invalid, quote } from '../libs/kernel/errors.ts';

export interface CommandOptions {
  readonly exec?: string;
  readonly allowScripts?: boolean;
}

/**
 * What an agent runs for each task; undefined when scripts only. What cannot be run at all is refused now and not at the
 * first task.
 * @throws HiveError INVALID_ARGUMENT
 */
export function commandOf(words: readonly string[], options: CommandOptions): readonly string[] | undefined {
  const { exec, allowScripts } = options;
  if (exec !== undefined && words.length > 0) {
    throw new HiveError('INVALID_ARGUMENT', 'give either --exec or a command after --, not both');
  }
  if (exec !== undefined) return ['sh', '-c', checkedForShell(exec)];
  if (words.length > 0) return checkedForPath(words);
  if (allowScripts) return undefined;
  throw new HiveError('INVALID_ARGUMENT', "what shall it run? Give --exec 'CMD', -- CMD ARGS, or --allow-scripts");
}

function checkedForShell(exec: string): string {
  if (exec.trim() === '') throw invalid([{ field: '--exec', value: quote(exec), rule: 'must be a command' }]);
  // Only a plain first word can be looked up; what begins with a variable, a bracket or a quote is the shell's affair.
  const word = /^\s*([\w./+-]+)(?=\s|;|&|\||$)/.exec(exec)?.[1];
  if (word !== undefined && !isKnownToShell(word)) throw notFound('--exec', word, 'the shell finds');
  return exec;
}

/** Programs, and the shell's own words. */
const isKnownToShell = (word: string): boolean =>
  spawnSync('sh', ['-c', 'command -v -- "$1"', 'sh', word], { stdio: 'ignore' }).status === 0;

function checkedForPath(words: readonly string[]): readonly string[] {
  const [program = ''] = words;
  const files = program.includes('/')
    ? [program]
    : (process.env.PATH ?? '').split(delimiter).map((folder) => join(folder, program));
  if (program === '' || !files.some(isExecutable)) throw notFound('the command after --', program, 'the PATH has');
  return words;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return statSync(file).isFile();
  } catch {
    return false;
  }
}

const notFound = (field: string, word: string, where: string): HiveError =>
  invalid([{ field, value: quote(word), rule: `is no program that ${where}; give its path, or install it` }]);
