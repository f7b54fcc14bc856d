/**
 * A table of durable rows: a machine's state is nothing but such tables and indexes that can be rebuilt from them.
 *
 * Rows are JSON values and never changed in place: `set` replaces the row. That buys four things for one rule: a
 * snapshot is written in slices while the leader goes on (`freeze` keeps the rows as they were, copy on write),
 * changes can be followed by key (`track`), what is not committed yet can be told from what is (`stage`), and a row that
 * was handed out stays what it was.
 */
export class Table<Row> {
  readonly #rows = new Map<string, Row>();
  #kept: Map<string, Row | undefined> | undefined;
  #changed: Set<string> | undefined;
  /** Rows as they were before what is not committed yet; undefined = everything is. */
  #staged: Map<string, Row | undefined> | undefined;

  get size(): number {
    return this.#rows.size;
  }

  get(key: string): Readonly<Row> | undefined {
    return this.#rows.get(key);
  }

  /** The row as it is committed: while changes are staged, as it was before them. */
  committed(key: string): Readonly<Row> | undefined {
    return this.#staged?.has(key) ? this.#staged.get(key) : this.#rows.get(key);
  }

  /** What is set or deleted from now on is not committed until `commit`. */
  stage(): void {
    this.#staged ??= new Map();
  }

  /** What was staged is committed, and what comes is staged again. */
  commit(): void {
    if (this.#staged && this.#staged.size > 0) this.#staged = new Map();
  }

  /** What was staged is committed, and so is what comes. */
  unstage(): void {
    this.#staged = undefined;
  }

  has(key: string): boolean {
    return this.#rows.has(key);
  }

  set(key: string, row: Row): void {
    this.#keep(key);
    this.#rows.set(key, row);
  }

  delete(key: string): boolean {
    if (!this.#rows.has(key)) return false;
    this.#keep(key);
    return this.#rows.delete(key);
  }

  /** In order of insertion, which is the same on every replica. */
  keys(): IterableIterator<string> {
    return this.#rows.keys();
  }

  values(): IterableIterator<Readonly<Row>> {
    return this.#rows.values();
  }

  entries(): IterableIterator<[string, Readonly<Row>]> {
    return this.#rows.entries();
  }

  /**
   * The rows as they are now, to be read later and in parts; `release` when done. One at a time.
   * Costs one copy of the keys now and one reference for each row that changes meanwhile.
   */
  freeze(): Frozen<Row> {
    if (this.#kept) throw new Error('the table is frozen already');
    const kept = new Map<string, Row | undefined>();
    this.#kept = kept;
    const keys = [...this.#rows.keys()];
    return {
      size: keys.length,
      row: (i) => {
        const key = keys[i] as string;
        return [key, (kept.has(key) ? kept.get(key) : this.#rows.get(key)) as Row];
      },
      release: () => {
        this.#kept = undefined;
      },
    };
  }

  /** From now on remembers which keys change; rows that are there already count as changed. */
  track(): void {
    this.#changed = new Set(this.#rows.keys());
  }

  /** The keys that were set or deleted since the last call. Empty without `track`. */
  drainChanged(): readonly string[] {
    if (!this.#changed || this.#changed.size === 0) return [];
    const keys = [...this.#changed];
    this.#changed.clear();
    return keys;
  }

  #keep(key: string): void {
    this.#changed?.add(key);
    if (this.#kept && !this.#kept.has(key)) this.#kept.set(key, this.#rows.get(key));
    if (this.#staged && !this.#staged.has(key)) this.#staged.set(key, this.#rows.get(key));
  }
}

export interface Frozen<Row> {
  readonly size: number;
  row(index: number): [key: string, row: Row];
  release(): void;
}
