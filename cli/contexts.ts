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
  try {
    return checked(JSON.parse(text));
  } catch (cause) {
    throw unusable(file, (cause as Error).message, cause);
  }
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
export function checkContext(name: string, { nats, federation, as }: NamedContext): void {
  const faults: Violation[] = [];
  const must = (holds: boolean, field: string, value: string, rule: string) => {
    if (!holds) faults.push({ field, value: quote(value), rule });
  };
  const urls = natsUrls('--nats', []);
  must(isName(name), 'name', name, NAME_RULE);
  must(urls.parse(nats) !== undefined, '--nats', nats.replace(/[^\s/,]*@/g, '***@'), urls.rule);
  must(isName(federation), '--federation', federation, NAME_RULE);
  const [kind = '', who, ...rest] = as.split(':');
  const isIdentity = as === '' || (['operator', 'swarm'].includes(kind) && isName(who) && rest.length === 0);
  must(isIdentity, '--as', as, `must be operator:NAME or swarm:NAME, where NAME ${NAME_RULE}`);
  if (faults.length > 0) throw invalid(faults);
}

function checked(value: unknown): Contexts {
  const { current = '', contexts = {} } = value as Partial<Contexts>;
  const entries = Object.entries(contexts).map(([name, given]) => {
    const fields = FIELDS.map((field) => [field, String(given[field] ?? '')]);
    const context = Object.fromEntries(fields) as unknown as NamedContext;
    checkContext(name, context);
    return [name, context];
  });
  return { current: String(current), contexts: Object.fromEntries(entries) };
}

const unusable = (file: string, why: string, cause: unknown): HiveError =>
  new HiveError('FAILED_PRECONDITION', `cannot use ${file}: ${why}; mend it or remove it`, { cause });
