import { copyFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isAtLeast } from '../../libs/bus/version.ts';
import { findServer, natsServerVersion } from '../../libs/service/nats-binary.ts';
import { type Engine, run } from './engine.ts';

/** Older servers answer repeats and expected sequences differently under replication. */
const OLDEST = '2.12.0';
const IMAGE = 'nats:2-alpine';
const OURS = 'hivebus-test-nats';

/**
 * The image of the cluster's NATS servers, or why there is none. A stand-in may be too old for a cluster; then one is
 * made of it and of the current server that `tools/optional.mjs` has built, if it has.
 */
export async function clusterImage({ env }: Engine): Promise<{ image: string } | { missing: string }> {
  const said = await run('docker', ['run', '--rm', IMAGE, 'nats-server', '--version'], { env });
  const version = /v?(\d+\.\d+\.\d+)/.exec(said)?.[1] ?? '0.0.0';
  if (isAtLeast(version, OLDEST)) return { image: IMAGE };
  const program = currentServer();
  if (!program || !isAtLeast(await natsServerVersion(program), OLDEST)) {
    const hint = 'where Go is at hand, node tools/optional.mjs nats-server-current builds one';
    return { missing: `a cluster needs nats-server ${OLDEST} or later, ${IMAGE} here has ${version}; ${hint}` };
  }
  const folder = mkdtempSync(join(tmpdir(), 'hivebus-image-'));
  try {
    copyFileSync(program, join(folder, 'nats-server'));
    writeFileSync(join(folder, 'Dockerfile'), `FROM ${IMAGE}\nCOPY nats-server /usr/local/bin/nats-server\n`);
    await run('docker', ['build', '-q', '-t', OURS, folder], { env });
    return { image: OURS };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function currentServer(): string | undefined {
  try {
    return findServer('nats-server-current');
  } catch {
    return undefined; // it is optional
  }
}
