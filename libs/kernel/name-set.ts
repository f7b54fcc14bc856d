/**
 * A set of names that never changes and is asked often, such as what an agent can do. Most have one name or none, and then
 * a comparison answers: the dispatcher asks every class of agents for each task.
 */
export class NameSet {
  readonly size: number;
  /** The name of a set of one. */
  readonly #only: string | undefined;
  readonly #names: ReadonlySet<string>;

  constructor(names: readonly string[]) {
    this.#names = names.length > 1 ? new Set(names) : NONE;
    this.#only = names.length === 1 ? names[0] : undefined;
    this.size = names.length > 1 ? this.#names.size : names.length;
  }

  has(name: string): boolean {
    return this.#only === undefined ? this.#names.has(name) : this.#only === name;
  }
}

const NONE: ReadonlySet<string> = new Set();
