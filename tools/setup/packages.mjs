import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, say } from './common.mjs';
import { runAsGroup } from './group.mjs';
import { lockFor } from './lock.mjs';

/**
 * Does node_modules hold what the lock file wants? npm notes there, at the end of each install, what it put in; an install
 * that was broken off may have removed some of it again.
 */
export function packagesAreInstalled() {
  const wanted = readPackages('package-lock.json');
  const installed = readPackages('node_modules/.package-lock.json');
  return Object.entries(wanted).every(
    ([path, { optional, version }]) =>
      path === '' || optional || (installed[path]?.version === version && existsSync(join(root, path, 'package.json'))),
  );
}

export async function installPackages() {
  say('installing npm packages (npm ci)');
  await runAsGroup('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    onStart: lockFor,
    env: { ...process.env, NODE_ENV: 'development' },
  });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
}
