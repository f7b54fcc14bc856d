import { parseDuration } from '../kernel/durations.ts';
import { invalid, quote, type Violation } from '../kernel/errors.ts';
import { nearest } from '../kernel/nearest.ts';

/** One environment variable: how it is read, and what holds when it is not set. */
export interface Setting<T> {
  readonly name: string;
  readonly fallback: T;
  /** What a value must be, for whoever gave another one: `must be …`. */
  readonly rule: string;
  /** Undefined when the text breaks the rule. */
  readonly parse: (text: string) => T | undefined;
}

export type Values<S> = { readonly [K in keyof S]: S[K] extends Setting<infer T> ? T : never };

/**
 * Reads and checks all settings. An empty variable counts as not set. A bad value never becomes the default.
 * Variables of ours that nobody knows are faults too: a misspelt setting must not be ignored in silence.
 * @throws HiveError INVALID_ARGUMENT with every fault at once.
 */
export function readSettings<S extends Record<string, Setting<unknown>>>(
  env: NodeJS.ProcessEnv,
  settings: S,
  alsoKnown: readonly string[] = [],
): Values<S> {
  const known = [...Object.values(settings).map((setting) => setting.name), ...alsoKnown];
  return readValues(env, settings, unknownNames(env, known));
}

/** The same, whatever other variables there are. `faults` are told with those that are found here. */
export function readValues<S extends Record<string, Setting<unknown>>>(
  env: NodeJS.ProcessEnv,
  settings: S,
  faults: readonly Violation[] = [],
): Values<S> {
  const found: Violation[] = [];
  const values = Object.fromEntries(
    Object.entries(settings).map(([key, setting]) => [key, readOne(env[setting.name], setting, found)]),
  );
  found.push(...faults);
  if (found.length > 0) throw invalid(found);
  return values as Values<S>;
}

function readOne(text: string | undefined, setting: Setting<unknown>, faults: Violation[]): unknown {
  if (text === undefined || text.trim() === '') return setting.fallback;
  const value = setting.parse(text.trim());
  if (value === undefined) faults.push({ field: setting.name, value: quote(withoutLogin(text)), rule: setting.rule });
  return value;
}

/** Errors are logged: what somebody put before the `@` of an address must not be. */
const withoutLogin = (text: string): string => text.replace(/[^\s/,]*@/g, '***@');

/** Of these an agent's command has one for each volume of its task. */
const VOLUME_PREFIX = 'HIVEBUS_VOLUME_';

const OURS = 'HIVEBUS_';
const plain = (name: string): string => name.replace(OURS, '');

/** Variables of ours that nobody knows, with what was meant. */
export function unknownNames(env: NodeJS.ProcessEnv, known: readonly string[]): Violation[] {
  const isOurs = (name: string) => name.startsWith(OURS) && !name.startsWith(VOLUME_PREFIX);
  const names = Object.keys(env).filter((name) => isOurs(name) && !known.includes(name));
  return names.map((field) => {
    // What all begin with says nothing of how near they are.
    const guess = nearest(plain(field), known.filter((name) => name.startsWith(OURS)).map(plain));
    const rule = `is not a setting of Hivebus${guess ? `; did you mean ${OURS}${guess}?` : ''}`;
    return { field, value: quote(env[field]), rule };
  });
}

type Kind<T> = Omit<Setting<T>, 'name' | 'fallback'>;

const setting =
  <T>(kind: Kind<T>) =>
  <const F>(name: string, fallback: F): Setting<T | F> => ({ name, fallback, ...kind });

export const text = setting<string>({ rule: 'must not be empty', parse: (value) => value });

export const port = setting<number>({
  rule: 'must be a port, 0 to 65535 (0 = any free one)',
  parse: (value) => wholeNumber(value, 0, 65_535),
});

export const duration = setting<number>({
  rule: 'must be a duration such as 500ms, 30s, 5m or 2h',
  parse: parseDuration,
});

export const bytes = setting<number>({
  rule: 'must be a number of bytes such as 64KiB, 32MiB or 1GiB, at most 1TiB',
  parse: (value) => {
    const [, digits, unit] = /^(\d{1,12})(KiB|MiB|GiB)?$/.exec(value) ?? [];
    const count = Number(digits) * 1024 ** ['', 'KiB', 'MiB', 'GiB'].indexOf(unit ?? '');
    return count >= 1 && count <= 2 ** 40 ? count : undefined;
  },
});

export const wholeNumberOf = (min: number, max: number) =>
  setting<number>({
    rule: `must be a whole number, ${min} to ${max}`,
    parse: (value) => wholeNumber(value, min, max),
  });

export const oneOf = <const W extends string>(words: readonly W[]) =>
  setting<W>({ rule: `must be one of ${words.join(', ')}`, parse: (value) => words.find((word) => word === value) });

/** NATS server addresses, split at commas. */
export const natsUrls = setting<readonly string[]>({
  rule: 'must be NATS addresses such as nats://127.0.0.1:4222, split by commas, without user and password',
  parse: (value) => {
    const urls = value.split(',').map((each) => each.trim());
    return urls.every(isNatsUrl) ? urls : undefined;
  },
});

export const httpUrl = setting<string>({
  rule: 'must be an address such as http://127.0.0.1:4318',
  parse: (value) => (/^https?:\/\/[^\s/]+/.test(value) && URL.canParse(value) ? value : undefined),
});

function wholeNumber(value: string, min: number, max: number): number | undefined {
  const number = /^\d{1,12}$/.test(value) ? Number(value) : Number.NaN;
  return number >= min && number <= max ? number : undefined;
}

/** As the client takes them: `host`, `host:port`, or with one of its schemes. */
function isNatsUrl(value: string): boolean {
  const url = value.includes('://') ? value : `nats://${value}`;
  return /^(nats|tls|ws|wss):\/\/[^\s/@]+$/.test(url) && URL.canParse(url);
}
