import type { AgentMove } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { AgentRow, MigrationRow } from './rows.ts';
import type { PoolState } from './state.ts';

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

/** What an agent is told that shall register in another swarm now. */
export function moveOf(state: PoolState, { lameDuck }: AgentRow): AgentMove | undefined {
  const row = lameDuck?.migration === undefined ? undefined : state.migrations.get(lameDuck.migration);
  if (row?.state !== 'MIGRATION_STATE_TRANSFERRING') return undefined;
  const { id: migration, to: swarm, name, traceparent, correlationId } = row;
  return { migration, swarm, name, traceparent, correlationId };
}
