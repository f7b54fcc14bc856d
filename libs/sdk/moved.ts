import { HiveError } from '../kernel/errors.ts';
import type { Migration } from '../wire/hivebus/pool/v1/pool.ts';
import type { Hive } from './hive.ts';

/** By which migration an agent has left a swarm; undefined when it has not, or long ago. */
export async function lastMove(hive: Pick<Hive, 'pool'>, swarm: string, name: string): Promise<Migration | undefined> {
  const { migrations } = await hive.pool.listMigrations({ swarm, includeEnded: true, pageSize: 1000 });
  const isOurs = (row: Migration) => row.agent === `${swarm}/${name}` && row.state === 'MIGRATION_STATE_ACTIVE';
  return migrations.filter(isOurs).at(-1);
}

export function displaced(swarm: string, name: string, cause: HiveError): HiveError {
  const message = `another instance took the place of agent ${swarm}/${name}: only one can have the name`;
  return new HiveError('ABORTED', message, { cause, retryable: false, reason: 'DISPLACED' });
}
