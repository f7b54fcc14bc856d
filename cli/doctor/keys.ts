import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { broken, type Finding, ok, warning } from './finding.ts';

/** The folder of the keys: who may read what. */
export async function lookAtKeys(home: string): Promise<Finding[]> {
  const folder = join(home, 'keys');
  const files = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return [];
    throw error;
  });
  const keys = files.filter((file) => file.endsWith('.key')).sort();
  if (keys.length === 0) {
    const mend = 'go where `hivebus up` was started, set HIVEBUS_HOME, or register a swarm, which makes its key';
    return [warning('keys', `there are none in ${folder}: you may read, and not write`, mend)];
  }
  const open: Finding[] = [];
  for (const path of [folder, ...keys.map((file) => join(folder, file))]) {
    const mode = (await stat(path)).mode & 0o777;
    const wanted = path === folder ? 0o700 : 0o600;
    const text = mode.toString(8).padStart(4, '0');
    if ((mode & ~wanted) === 0) continue;
    const mend = `chmod ${wanted.toString(8)} ${path}`;
    open.push(
      path === folder
        ? warning(path, `others may enter it (mode ${text})`, mend)
        : broken(path, `others may read it (mode ${text})`, mend),
    );
  }
  return [...open, ok('keys', `${keys.length} in ${folder}: ${named(keys.map((file) => file.slice(0, -4)))}`)];
}

/** So many are named: a swarm's key stays when the swarm leaves, as it may come back. */
const MAX_NAMED = 8;

const named = (names: readonly string[]): string =>
  names.length <= MAX_NAMED
    ? names.join(', ')
    : `${names.slice(0, MAX_NAMED).join(', ')}, and ${names.length - MAX_NAMED} more`;

/** Whether the services take our token. */
export async function lookAtIdentity(connect: () => Promise<Hive>): Promise<Finding[]> {
  await using hive = await connect();
  const { identity } = hive;
  if (identity.kind === 'anonymous')
    return [ok('identity', 'no operator: you may read, and write as a swarm whose key is here')];
  const who = identity.kind === 'operator' ? `operator:${identity.name}` : `swarm:${identity.swarm}`;
  try {
    await hive.registry.getFederation({});
    return [ok('identity', `${who}, and the services take its key`)];
  } catch (caught) {
    const error = HiveError.from(caught);
    if (error.code !== 'UNAUTHENTICATED') throw error;
    const mend =
      identity.kind === 'operator'
        ? 'put its public half, NAME.pub, into the folder HIVEBUS_OPERATOR_KEYS of the services'
        : 'register the swarm with this key, or let an operator hand the name to it';
    return [broken('identity', `${who}: ${error.message}`, mend)];
  }
}
