import type { Command, Help, Option } from 'commander';
import { formatDuration } from '../libs/kernel/durations.ts';
import { duration } from './values.ts';
import { wrapped } from './wrapped-table.ts';

/** No line of help is wider; a test of the program sees to it. */
const HELP_WIDTH = 80;

/** Words and what they mean, one below the other. */
export function terms(rows: readonly (readonly [word: string, meaning: string])[]): string {
  const indent = 4 + Math.max(...rows.map(([word]) => word.length));
  return rows
    .flatMap(([word, meaning]) =>
      wrapped(meaning, HELP_WIDTH - indent).map((line, i) => `  ${i === 0 ? word : ''}`.padEnd(indent) + line),
    )
    .join('\n');
}

/** A call as an example. */
export const exampleText = (call: string): string =>
  callLines(call, HELP_WIDTH - 2)
    .map((line) => `  ${line}`)
    .join('\n');

/** A call that is too long for `width` goes on in further lines, before an option, as a shell takes it. */
export function callLines(call: string, width: number): string[] {
  if (call.length <= width) return [call];
  const [first = '', ...options] = call.split(UNQUOTED_OPTION);
  const lines = [first];
  for (const option of options) {
    const longer = `${lines.at(-1)} ${option}`;
    if (longer.length + 2 <= width) lines[lines.length - 1] = longer;
    else lines.push(`    ${option}`);
  }
  return lines.map((line, i) => (i < lines.length - 1 ? `${line} \\` : line));
}

/** The space before `--option`, where an even number of quotes follows. */
const UNQUOTED_OPTION = / (?=--[a-z])(?=(?:[^']*'[^']*')*[^']*$)/;

/** How options are explained: what must be given, what a time looks like, and defaults that say something. */
export function configureHelp(program: Command): Command {
  return program.configureHelp({ optionDescription: describe });
}

function describe(this: Help, option: Option): string {
  const { description, mandatory, argChoices, defaultValue, parseArg } = option;
  const spoken = SPOKEN_DEFAULT.exec(description);
  const isTime = parseArg === duration;
  const facts = [
    mandatory && 'required',
    argChoices && `one of ${argChoices.join(', ')}`,
    isTime && 'e.g. 30s or 5m',
    saysSomething(defaultValue) && `default: ${isTime ? formatDuration(defaultValue as number) : defaultValue}`,
    spoken?.[2],
  ].filter((fact) => typeof fact === 'string');
  const text = spoken?.[1] ?? description;
  return facts.length === 0 ? text : `${text} (${facts.join('; ')})`;
}

/** A description that names its default itself, where that is no value. */
const SPOKEN_DEFAULT = /^(.*) \((default: .*)\)$/s;

/** Nothing, an empty list and an empty text are what everybody expects. */
function saysSomething(value: unknown): boolean {
  if (typeof value === 'object' && value !== null) return Object.keys(value).length > 0;
  return value !== undefined && value !== '' && value !== false && value !== true;
}
