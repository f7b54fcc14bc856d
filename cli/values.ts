import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import { InvalidArgumentError } from 'commander';
import { formatDuration, parseDuration } from '../libs/kernel/durations.ts';
import { HiveError, invalid, quote } from '../libs/kernel/errors.ts';
import { nearest } from '../libs/kernel/nearest.ts';

/** Parsers and renderers of what people type and read. */

/** An option that may be given several times, or once with commas. */
export const list = (value: string, before: string[] = []): string[] => [
  ...before,
  ...value.split(',').filter((part) => part !== ''),
];

/** The same, where each must be one of some words. */
export const listOf =
  (words: readonly string[]) =>
  (value: string, before: string[] = []): string[] => {
    const given = list(value);
    const wrong = given.find((each) => !words.includes(each));
    if (given.length > 0 && wrong === undefined) return [...before, ...given];
    const close = nearest(wrong ?? '', words);
    const meant = close ? ` Did you mean ${close}?` : '';
    throw new InvalidArgumentError(`Allowed choices are ${words.join(', ')}.${meant}`);
  };

/** An id as it is, or as `-o name` writes it: `KIND/ID`. */
export const idOf =
  (kind: string) =>
  (value: string): string =>
    value.startsWith(`${kind}/`) ? value.slice(kind.length + 1) : value;

/** `SWARM/NAME`, or as `-o name` writes it: `agent/SWARM/NAME`. */
export const agentPath = (value: string): string =>
  /^agent\/[^/]+\/[^/]+$/.test(value) ? idOf('agent')(value) : value;

/** What commander says of a required option, for those that are required only here and there; undefined = nothing missing. */
export function missingOptions(options: Readonly<Record<string, unknown>>): HiveError | undefined {
  const missing = Object.keys(options).filter((flags) => !options[flags]);
  if (missing.length === 0) return undefined;
  const names = missing.map((flags) => `'${flags}'`).join(' and ');
  const text = `required ${missing.length === 1 ? 'option' : 'options'} ${names} not specified (--help says more)`;
  return new HiveError('INVALID_ARGUMENT', text);
}

export function wholeNumber(value: string): number {
  if (/^\d+$/.test(value)) return notRounded(value);
  throw new InvalidArgumentError('It must be a whole number from 0.');
}

export function countingNumber(value: string): number {
  if (/^[1-9]\d*$/.test(value)) return notRounded(value);
  throw new InvalidArgumentError('It must be a whole number from 1.');
}

function notRounded(digits: string): number {
  if (Number.isSafeInteger(Number(digits))) return Number(digits);
  throw new InvalidArgumentError(`It is too large: ${Number.MAX_SAFE_INTEGER} is the most that can be told apart.`);
}

/** The most milliseconds that any request can hold: 2^32 - 1. Each has its own limit, which the service tells. */
const MAX_MS = 0xffff_ffff;

/** `30s`, `5m`, … as milliseconds. */
export function duration(value: string): number {
  const ms = parseDuration(value);
  if (ms !== undefined && ms > MAX_MS) throw new InvalidArgumentError('It is too long: at most 49d.');
  if (ms !== undefined && ms > 0 && ms < 1) throw new InvalidArgumentError('It is too short: at least 1ms, or 0s.');
  if (ms !== undefined) return Math.round(ms);
  throw new InvalidArgumentError('It must be a duration such as 250ms, 30s, 5m or 2h.');
}

/** The same, where 0 would change nothing. */
export function someTime(value: string): number {
  const ms = duration(value);
  if (ms > 0) return ms;
  throw new InvalidArgumentError('It must be longer than 0s.');
}

/** `key=value`, several times. */
export function keyValue(value: string, before: Record<string, string> = {}): Record<string, string> {
  const at = value.indexOf('=');
  if (at > 0) return { ...before, [value.slice(0, at)]: value.slice(at + 1) };
  throw new InvalidArgumentError('It must be KEY=VALUE.');
}

/** The text itself, of a file (`@file`), or of standard input (`-`). */
export async function textOf(value: string): Promise<string> {
  if (value === '-') return readAll(process.stdin);
  if (!value.startsWith('@')) return value;
  try {
    return await readFile(value.slice(1), 'utf8');
  } catch (cause) {
    throw unreadable(value.slice(1), cause);
  }
}

/** What is told where a file or folder that is named cannot be read. */
export function unreadable(path: string, cause: unknown): HiveError {
  const { code = '', message } = cause as NodeJS.ErrnoException;
  const why = UNREADABLE[code] ?? message;
  return new HiveError('INVALID_ARGUMENT', `cannot read ${quote(path)}: ${why}`, { cause });
}

const UNREADABLE: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such file or folder',
  ENOTDIR: 'what stands before a / in it is a file, not a folder',
  EISDIR: 'it is a folder; name a file',
  EACCES: 'its permissions do not let you read it',
  EPERM: 'its permissions do not let you read it',
  ELOOP: 'its links lead in a circle',
  ENAMETOOLONG: 'the name is too long',
};

/** JSON given as by `textOf`. */
export const jsonOf = async (option: string, value: string): Promise<unknown> => jsonIn(option, await textOf(value));

/** A JSON text's value, as it was written. INVALID_ARGUMENT, naming `option`, for what is none or would be rounded. */
export function jsonIn(option: string, text: string): unknown {
  const parsed = parseJson(option, text);
  const fault = infinityIn(parsed);
  const rounded = roundedIn(text);
  if (fault === undefined && rounded === undefined) return parsed;
  const rule =
    fault === undefined
      ? `has the number ${rounded}, which is beyond 2^53, where numbers are rounded; write it in quotes`
      : `has a number that is too large for JSON readers${fault && ` at ${fault}`}; write it as a string`;
  throw invalid([{ field: option, value: quote(text), rule }]);
}

/** The first number of a JSON text that is written digit by digit and read as another; undefined when there is none. */
function roundedIn(json: string): string | undefined {
  for (const [token] of json.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[-+.\deE]+/g)) {
    if (/^-?\d{16,}$/.test(token) && !Number.isSafeInteger(Number(token))) return token;
  }
  return undefined;
}

function parseJson(option: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    const why = (cause as Error).message;
    throw new HiveError('INVALID_ARGUMENT', `${option}: ${quote(text)} must be JSON, @file or -: ${why}`, { cause });
  }
}

/** Where a value holds a number that was read as infinity (1e400), and would be sent as null; undefined when nowhere. */
function infinityIn(value: unknown): string | undefined {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : '';
  if (typeof value !== 'object' || value === null) return undefined;
  for (const [key, part] of Object.entries(value)) {
    const rest = infinityIn(part);
    if (rest !== undefined) return rest === '' ? key : `${key}.${rest}`;
  }
  return undefined;
}

/** `TASK_STATE_RUNNING` as `running`. */
export const word = (value: string, prefix: string): string =>
  value
    .slice(prefix.length + 1)
    .toLowerCase()
    .replaceAll('_', '-');

const STATES =
  /\b(?:TASK_STATE|LEASE_STATE|AGENT_STATE|OUTCOME|LIVENESS|JOIN_POLICY|LOG_STREAM)_([A-Z]+(?:_[A-Z]+)*)\b/g;

/** A text with all states in it as words. */
export const plainStates = (text: string): string =>
  text.replace(STATES, (_, state: string) => state.toLowerCase().replaceAll('_', '-'));

/** How long ago, for people; `-` when never. */
export function ago(time: string | undefined, now = Date.now()): string {
  return time === undefined ? '-' : `${formatDuration(Math.max(0, now - Date.parse(time)))} ago`;
}

/** How long from one time to another, or until now. */
export function between(from: string | undefined, to: string | undefined, now = Date.now()): string {
  if (from === undefined) return '-';
  return formatDuration(Math.max(0, (to === undefined ? now : Date.parse(to)) - Date.parse(from)));
}

/** A word as a shell takes it: in quotes where it must be. */
export const shellWord = (text: string): string =>
  /^[-\w./:@%+=,]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;

export function port(value: string): number {
  const number = /^\d{1,5}$/.test(value) ? Number(value) : Number.NaN;
  if (number <= 65_535) return number;
  throw new InvalidArgumentError('It must be a port, 0 to 65535.');
}
