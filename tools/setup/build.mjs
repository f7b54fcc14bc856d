import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { Failure, root, say, tryRun } from './common.mjs';

const dist = join(root, 'dist');
const stampFile = join(dist, '.stamp');
const SOURCES = ['libs', 'services', 'cli', 'examples', 'deploy', 'test', 'tools'];

export const isBuilt = () => existsSync(stampFile) && readFileSync(stampFile, 'utf8') === stamp();

export function build() {
  say('building (tsc)');
  const before = stamp(); // of what is compiled now; an edit meanwhile makes the next run build again
  mkdirSync(dist, { recursive: true });
  rmSync(stampFile, { force: true });
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  if (!existsSync(tsc)) throw new Failure(`${tsc} is missing: remove node_modules, and run this again`);
  // Its own build info: the one of a check without output would make it skip writing.
  const result = tryRun(process.execPath, [tsc, '-p', root, '--tsBuildInfoFile', join(dist, '.build.tsbuildinfo')], {
    cwd: root,
  });
  if (!result.ok) throw new Failure(`the sources do not compile (${result.why}):\n${result.output}`);
  removeOrphans();
  writeFileSync(stampFile, before);
}

/** Changes whenever a source or the compiler's settings do: paths, times and sizes, no contents, to be quick. */
function stamp() {
  const files = [...sources(), ...['tsconfig.json', 'package-lock.json'].map((name) => join(root, name))];
  const hash = createHash('sha256');
  for (const file of files.sort()) {
    const { mtimeMs, size } = statSync(file);
    hash.update(`${relative(root, file)} ${mtimeMs} ${size}\n`);
  }
  return hash.digest('hex');
}

const sources = () => SOURCES.flatMap((folder) => walk(join(root, folder))).filter((file) => file.endsWith('.ts'));

/** What was compiled from sources that are gone would still be found by imports and tools. */
function removeOrphans() {
  const expected = new Set(sources().map((file) => relative(root, file).slice(0, -'.ts'.length)));
  for (const file of SOURCES.flatMap((folder) => walk(join(dist, folder)))) {
    const name = relative(dist, file).replace(/(\.d\.ts|\.js|\.js\.map)$/, '');
    if (!expected.has(name)) rmSync(file);
  }
}

function walk(folder) {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}
