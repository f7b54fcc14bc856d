import { invalid, quote, type Violation } from './errors.ts';
import { isName, NAME_RULE } from './names.ts';

const MAX_LIST = 32;

/** Collects everything that is wrong with an input: the field's path, its value, the rule. */
export class Checks {
  readonly found: Violation[] = [];
  readonly #prefix: string;

  /** `prefix` is put before every field's path. */
  constructor(prefix = '') {
    this.#prefix = prefix;
  }

  /** Throws INVALID_ARGUMENT with all faults, if there are any. */
  done(): void {
    if (this.found.length > 0) throw invalid(this.found);
  }

  rule(ok: boolean, field: string, value: unknown, rule: string): void {
    if (!ok) this.#fault(field, value, rule);
  }

  name(field: string, value: string): void {
    this.rule(isName(value), field, value, NAME_RULE);
  }

  nameOrEmpty(field: string, value: string): void {
    if (value !== '' && !isName(value)) this.#fault(field, value, `${NAME_RULE}, or be empty`);
  }

  /** A list of names: not too many, none twice. */
  names(field: string, values: readonly string[], max = MAX_LIST): void {
    this.list(field, values, max, (at, value) => this.name(at, value));
  }

  /** A list of texts, none twice. */
  list(field: string, values: readonly string[], max: number, check: (at: string, value: string) => void): void {
    if (values.length === 0) return;
    if (values.length > max) this.#fault(field, values.length, `must have at most ${max} entries`);
    const seen = new Set<string>();
    for (const [i, value] of values.entries()) {
      check(`${field}[${i}]`, value);
      this.rule(!seen.has(value), `${field}[${i}]`, value, 'must not be there twice');
      seen.add(value);
    }
  }

  range(field: string, value: number, min: number, max: number): void {
    if (!(value >= min && value <= max)) this.#fault(field, value, `must be ${min} to ${max}`);
  }

  text(field: string, value: string, maxLength: number): void {
    if (value.length > maxLength) this.#fault(field, value, `must have at most ${maxLength} characters`);
  }

  #fault(field: string, value: unknown, rule: string): void {
    this.found.push({ field: this.#prefix + field, value: quote(value), rule });
  }
}
