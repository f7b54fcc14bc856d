import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { root, run, say } from './common.mjs';

/** Does node_modules hold what the lock file wants? npm notes there, at the end of each install, what it put in. */
export function packagesAreInstalled() {
  const wanted = readPackages('package-lock.json');
  const installed = readPackages('node_modules/.package-lock.json');
  return Object.entries(wanted).every(
    ([path, entry]) => path === '' || entry.optional || installed[path]?.version === entry.version,
  );
}

export function installPackages() {
  say('installing npm packages (npm ci)');
  run('npm', ['ci', '--no-audit', '--no-fund'], { cwd: root, env: { ...process.env, NODE_ENV: 'development' } });
}

function readPackages(file) {
  try {
    return JSON.parse(readFileSync(join(root, file), 'utf8')).packages;
  } catch (error) {
    if (error.code === 'ENOENT') return {};
    throw error;
  }
}
