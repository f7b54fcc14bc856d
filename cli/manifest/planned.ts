import type { HiveError } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type { Change } from './changes.ts';
import type { Document } from './document.ts';

/** What applying a document did, or would do. */
export interface Outcome {
  readonly change: 'created' | 'changed' | 'unchanged';
  /** What differs from what is stored; known of dry runs. */
  readonly changes: readonly Change[];
  /** For people; may be empty. */
  readonly note: string;
}

/** A document that was understood: what is to be done with it. */
export interface Planned {
  readonly document: Document;
  /** As `get` knows it. */
  readonly kind: string;
  readonly name: string;
  /** Names of tasks that it must come after; not there = it may stand anywhere. */
  readonly after?: readonly string[];
  /**
   * Applies it, or asks the service what that would do. Throws its refusal. `together`: names of the tasks that are
   * applied with it, and may not be there yet in a dry run.
   */
  apply(hive: Hive, dryRun: boolean, together: ReadonlySet<string>): Promise<Outcome>;
  /** The manifest's path of a field of the service's request. */
  pathOf(field: string): string;
}

/** What a manifest may leave out. */
export interface Defaults {
  /** The swarm of what names no cluster. */
  readonly swarm?: string | undefined;
  /** The type of tasks that name none. */
  readonly type?: string | undefined;
}

/** Undefined instead of NOT_FOUND. */
export async function orNone<T>(asked: Promise<T>): Promise<T | undefined> {
  try {
    return await asked;
  } catch (error) {
    if ((error as HiveError).code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** The swarm that a clusterRef means: that of the stored cluster, else the one of the same name. */
export async function swarmOf(hive: Hive, clusterRef: string): Promise<string> {
  const found = await orNone(hive.registry.getCluster({ name: clusterRef }));
  return found?.cluster?.swarm || clusterRef;
}
