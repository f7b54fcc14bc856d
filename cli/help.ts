import type { Command, Help, Option } from 'commander';
import { formatDuration } from '../libs/kernel/durations.ts';
import { duration } from './values.ts';

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
