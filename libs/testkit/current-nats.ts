import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isAtLeast } from '../bus/version.ts';
import { setupFolders } from '../service/nats-binary.ts';

/** Clusters need this one: older servers differ in how they answer repeats and expected sequences under replication. */
const OLDEST_CLUSTER_SERVER = '2.12.0';

/** A nats-server that is good for clusters, or why there is none. */
export type CurrentNats = { readonly path: string } | { readonly missing: string };

/**
 * HIVEBUS_NATS_SERVER_CURRENT, else of HIVEBUS_NATS_SERVER, the PATH and what `tools/optional.mjs` has built the first
 * that is new enough.
 */
export function currentNats(env: NodeJS.ProcessEnv = process.env): CurrentNats {
  const named = env['HIVEBUS_NATS_SERVER_CURRENT'];
  const there = (named ? [named] : places(env)).filter((path) => existsSync(path));
  const found = there.map((path) => ({ path, version: versionOf(path) }));
  const good = found.find(({ version }) => version !== undefined && isAtLeast(version, OLDEST_CLUSTER_SERVER));
  if (good) return { path: good.path };
  const seen = found.map(({ path, version }) => `${path} is ${version ?? 'none'}`).join(', ');
  const what = seen || (named ? `${named} is not there` : 'none was found');
  return {
    missing: `a cluster needs nats-server ${OLDEST_CLUSTER_SERVER} or later: ${what}; where Go is at hand, node tools/optional.mjs nats-server-current builds one`,
  };
}

const places = (env: NodeJS.ProcessEnv): string[] => [
  ...(env['HIVEBUS_NATS_SERVER'] ? [env['HIVEBUS_NATS_SERVER']] : []),
  ...(env['PATH'] ?? '').split(delimiter).map((folder) => join(folder, 'nats-server')),
  ...setupFolders().map((folder) => join(folder, 'nats-server-current')),
];

function versionOf(path: string): string | undefined {
  try {
    const said = execFileSync(path, ['--version'], { encoding: 'utf8', timeout: 10_000, stdio: 'pipe' });
    return /v?(\d+\.\d+\.\d+)/.exec(said)?.[1];
  } catch {
    return undefined;
  }
}
