import { invalid, quote, type Violation } from '../kernel/errors.ts';
import { isName, NAME_RULE } from '../kernel/names.ts';

/**
 * Collects what is wrong with a request beyond its form, all at once: used by services at their edge, so that nothing
 * behind it checks again. Each check says whether the value passed.
 */
export class Faults {
  readonly #violations: Violation[] = [];

  /** Throws INVALID_ARGUMENT with everything that was found, if anything was. */
  throwIfAny(): void {
    if (this.#violations.length > 0) throw invalid(this.#violations);
  }

  add(field: string, value: unknown, rule: string): false {
    this.#violations.push({ field, value: quote(value), rule });
    return false;
  }

  name(field: string, value: string): boolean {
    return isName(value) || this.add(field, value, NAME_RULE);
  }

  /** Empty or a name. */
  optionalName(field: string, value: string): boolean {
    return value === '' || this.name(field, value);
  }

  /** A text of at most `max` characters (UTF-16 units), and at least `min`. */
  length(field: string, text: string, max: number, min = 0): boolean {
    if (text.length < min)
      return this.add(field, text, min === 1 ? 'must not be empty' : `must have ${min} characters`);
    return text.length <= max || this.add(field, text, `must have at most ${max} characters, has ${text.length}`);
  }

  /** A number from `min` to `max`; never NaN. */
  range(field: string, value: number, min: number, max: number): boolean {
    return (value >= min && value <= max) || this.add(field, numberText(value), `must be ${min} to ${max}`);
  }

  /** The same, or 0 = the default. */
  optionalRange(field: string, value: number, min: number, max: number): boolean {
    return value === 0 || this.range(field, value, min, max);
  }

  /**
   * At most `max` items, each checked by `check`, which gets the beginning of the paths of its faults: an empty one, and the
   * item's own path is put before what it has found, since there is seldom anything.
   */
  list<T>(field: string, items: readonly T[], max: number, check?: (path: string, item: T) => unknown): boolean {
    if (items.length > max) return this.add(field, `${items.length} items`, `must have at most ${max} items`);
    if (!check) return true;
    const before = this.#violations.length;
    for (let i = 0; i < items.length; i++) {
      const start = this.#violations.length;
      check('', items[i] as T);
      if (this.#violations.length > start) this.#prefix(start, `${field}[${i}]`);
    }
    return this.#violations.length === before;
  }

  /** The same for a map's entries, under `field["key"]`. */
  map<T>(
    field: string,
    map: Readonly<Record<string, T>>,
    max: number,
    check: (path: string, key: string, value: T) => unknown,
  ): boolean {
    const entries = Object.entries(map);
    const before = this.#violations.length;
    if (entries.length > max) return this.add(field, `${entries.length} entries`, `must have at most ${max} entries`);
    for (const [key, value] of entries) check(`${field}[${quote(key)}]`, key, value);
    return this.#violations.length === before;
  }

  #prefix(start: number, path: string): void {
    for (const [i, violation] of this.#violations.entries()) {
      if (i >= start) this.#violations[i] = { ...violation, field: path + violation.field };
    }
  }

  /** No value twice. */
  distinct(field: string, values: readonly string[]): boolean {
    if (values.length < 2) return true;
    const seen = new Set<string>();
    const twice = values.find((value) => seen.size === seen.add(value).size);
    return twice === undefined || this.add(field, twice, 'must not be there twice');
  }

  oneOf<T extends string>(field: string, value: string, allowed: readonly T[]): value is T {
    return (allowed as readonly string[]).includes(value) || this.add(field, value, `must be ${allowed.join(', ')}`);
  }

  /** Empty or one of them. */
  optionalOneOf(field: string, value: string, allowed: readonly string[]): boolean {
    return value === '' || this.oneOf(field, value, allowed);
  }

  /** Empty or a URL of at most `max` characters, with one of `schemes` if any are given (`https`, without colon). */
  optionalUrl(field: string, value: string, max: number, schemes: readonly string[] = []): boolean {
    if (value === '') return true;
    if (!URL.canParse(value)) return this.add(field, value, 'must be a URL such as nats://host:4222');
    if (schemes.length > 0 && !schemes.includes(new URL(value).protocol.slice(0, -1))) {
      return this.add(field, value, `must begin with ${schemes.map((each) => `${each}://`).join(' or ')}`);
    }
    return this.length(field, value, max);
  }

  /** A revision: a decimal string that a JavaScript number holds exactly. */
  revision(field: string, value: string): boolean {
    return Number.isSafeInteger(Number(value)) || this.add(field, value, `must be 0 to ${Number.MAX_SAFE_INTEGER}`);
  }

  /** JSON of at most `maxBytes`. */
  jsonSize(field: string, value: unknown, maxBytes: number): boolean {
    const bytes = value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));
    return bytes <= maxBytes || this.add(field, `${bytes} bytes`, `must have at most ${maxBytes} bytes as JSON`);
  }
}

/** JSON has no NaN and no infinities. */
const numberText = (value: number): number | string => (Number.isFinite(value) ? value : String(value));
