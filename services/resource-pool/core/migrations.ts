import type { MigrationRow } from './rows.ts';

/** Migrations by agent. Derived from their rows. */
export class Migrations {
  readonly #open = new Map<string, string>();
  readonly #done = new Map<string, string>();

  /** The migration of an agent that is not over. */
  of(agent: string): string | undefined {
    return this.#open.get(agent);
  }

  /** The migration by which an agent left last. */
  goneBy(agent: string): string | undefined {
    return this.#done.get(agent);
  }

  put({ id, agent, state, endedAt }: MigrationRow): void {
    if (endedAt === 0) this.#open.set(agent, id);
    else if (this.#open.get(agent) === id) this.#open.delete(agent);
    if (state === 'MIGRATION_STATE_ACTIVE') this.#done.set(agent, id);
  }

  delete({ id, agent }: MigrationRow): void {
    if (this.#done.get(agent) === id) this.#done.delete(agent);
  }
}
