import { mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { HiveError, invalid, notFound, quote, type Violation } from '../libs/kernel/errors.ts';
import { isName, NAME_RULE } from '../libs/kernel/names.ts';
import { nearest } from '../libs/kernel/nearest.ts';
import { defaultHome } from '../libs/sdk/keys.ts';
import { natsUrls } from '../libs/service/settings.ts';

/** A federation that is used often, by a name: where it runs, which one, as whom, and where the keys lie. */
export interface NamedContext {
  readonly nats: string;
  readonly federation: string;
  /** `operator:NAME`, `swarm:NAME`; empty = the operator whose key lies in the home. */
  readonly as: string;
  /** The folder of the keys; empty = HIVEBUS_HOME, else the default. */
  readonly home: string;
}

export interface Contexts {
  /** The one that commands use when nothing else is said; empty = none. */
  readonly current: string;
  readonly contexts: Readonly<Record<string, NamedContext>>;
}

const FIELDS = ['nats', 'federation', 'as', 'home'] as const;
const EMPTY: Contexts = { current: '', contexts: {} };

/** `contexts.json` in HIVEBUS_HOME, else in the default folder. */
export const contextsFile = (env: NodeJS.ProcessEnv = process.env): string => join(defaultHome(env), 'contexts.json');

/** Throws FAILED_PRECONDITION, with what to do, for a file that holds something else. */
export function readContexts(file = contextsFile()): Contexts {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ENOENT') return EMPTY;
    throw unusable(file, (cause as Error).message, cause);
  }
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw unusable(file, (cause as Error).message, cause);
  }
  const faults = shapeFaults(value);
  if (faults.length > 0) throw unusable(file, invalid(faults).message, undefined);
  const { current = '', contexts = {} } = value as {
    current?: string;
    contexts?: Record<string, Partial<NamedContext>>;
  };
  const known = Object.entries(contexts).map(([name, given]) => {
    const { nats = '', federation = '', as = '', home = '' } = given;
    return [name, { nats, federation, as, home }] as const;
  });
  const wrong = known.flatMap(([name, context]) =>
    contextFaults(name, context, (field) => `contexts.${name}.${field}`),
  );
  if (wrong.length > 0) throw unusable(file, invalid(wrong).message, undefined);
  return { current, contexts: Object.fromEntries(known) };
}

export function writeContexts(contexts: Contexts, file = contextsFile()): void {
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
  const draft = `${file}.${process.pid}`;
  writeFileSync(draft, `${JSON.stringify(contexts, undefined, 2)}\n`, { mode: 0o600 });
  renameSync(draft, file);
}

/** Throws NOT_FOUND and says what was meant. */
export function contextNamed({ contexts }: Contexts, name: string): NamedContext {
  const found = Object.hasOwn(contexts, name) ? contexts[name] : undefined;
  if (found) return found;
  const names = Object.keys(contexts);
  const close = nearest(name, names);
  const there = names.length === 0 ? 'there are none; hivebus context set makes one' : `there are ${names.join(', ')}`;
  throw notFound('context', name, close ? `did you mean ${close}?` : there);
}

/** Throws INVALID_ARGUMENT with all faults at once. */
export function checkContext(name: string, context: NamedContext): void {
  const faults = contextFaults(name, context, (field) => (field === 'name' ? field : `--${field}`));
  if (faults.length > 0) throw invalid(faults);
}

function contextFaults(
  name: string,
  { nats, federation, as }: NamedContext,
  placeOf: (field: string) => string,
): Violation[] {
  const faults: Violation[] = [];
  const must = (holds: boolean, field: string, value: string, rule: string) => {
    if (!holds) faults.push({ field: placeOf(field), value: quote(value), rule });
  };
  const urls = natsUrls('--nats', []);
  must(isName(name), 'name', name, NAME_RULE);
  must(urls.parse(nats) !== undefined, 'nats', nats.replace(/[^\s/,]*@/g, '***@'), urls.rule);
  must(isName(federation), 'federation', federation, NAME_RULE);
  const [kind = '', who, ...rest] = as.split(':');
  const isIdentity = as === '' || (['operator', 'swarm'].includes(kind) && isName(who) && rest.length === 0);
  must(isIdentity, 'as', as, `must be operator:NAME or swarm:NAME, where NAME ${NAME_RULE}`);
  return faults;
}

/** What is not of the form of the file: objects of texts. */
function shapeFaults(value: unknown): Violation[] {
  if (!isObject(value)) return [{ field: 'all of it', value: quote(value), rule: 'must be an object' }];
  const { current = '', contexts = {} } = value;
  const faults: Violation[] = [];
  if (typeof current !== 'string') faults.push({ field: 'current', value: quote(current), rule: 'must be a text' });
  if (!isObject(contexts)) {
    return [...faults, { field: 'contexts', value: quote(contexts), rule: 'must be an object' }];
  }
  for (const [name, given] of Object.entries(contexts)) {
    const place = `contexts.${name}`;
    if (!isObject(given)) faults.push({ field: place, value: quote(given), rule: 'must be an object' });
    else faults.push(...fieldFaults(place, given));
  }
  return faults;
}

const fieldFaults = (place: string, given: Record<string, unknown>): Violation[] =>
  FIELDS.filter((field) => given[field] !== undefined && typeof given[field] !== 'string').map((field) => ({
    field: `${place}.${field}`,
    value: quote(given[field]),
    rule: 'must be a text',
  }));

const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const unusable = (file: string, why: string, cause: unknown): HiveError =>
  new HiveError('FAILED_PRECONDITION', `cannot use ${file}: ${why}; mend it or remove it`, { cause });
