import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Failure, say, tryRun, writableCache } from './common.mjs';
import { exposeByShell, fetchFromDebian, findProgram, isOnPath, place } from './servers.mjs';

const byGo = (module, version, folder = '') => ({ get: getByGo, module, version, program: join(module, folder) });

/**
 * Programs that some tests use and nothing else needs, by the name of the program. Tests find them on the PATH or where
 * this puts them, and say aloud when they are skipped for want of one.
 */
export const OPTIONAL = {
  'nats-server-current': byGo('github.com/nats-io/nats-server/v2', 'v2.15.2'), // Debian's is too old for clusters
  'python-grpc': { get: getPython, packages: ['grpcio==1.71.0', 'grpcio-tools==1.71.0', 'cryptography==44.0.2'] },
  prometheus: { get: getFromDebian, package: 'prometheus' },
  promtool: { get: getFromDebian, package: 'prometheus' },
  nats: byGo('github.com/nats-io/natscli', 'v0.3.0', 'nats'),
  grpcurl: byGo('github.com/fullstorydev/grpcurl', 'v1.9.4', 'cmd/grpcurl'),
};

export const isThere = (name) => findProgram(name) !== undefined;

/** Puts an optional program where tests find it. Throws Failure, saying why, when it cannot be had until then. */
export function fetchOptional(name, until) {
  const wanted = OPTIONAL[name];
  say(`fetching ${name}, which is optional`);
  wanted.get(name, wanted, until);
}

function getFromDebian(name, wanted) {
  if (!isOnPath('apt-get') || !isOnPath('dpkg')) throw new Failure(`install ${name} and put it on the PATH`);
  fetchFromDebian(name, wanted.package);
}

/**
 * Built in a module that names the version, so that Go asks for no list of versions, which not every proxy gives; from
 * `go 1.17` on it needs only a part of what the module's own dependencies name.
 */
function getByGo(name, { module, version, program }, until) {
  if (!isOnPath('go')) throw new Failure(`there is no go to build ${module} ${version} with`);
  const cache = writableCache();
  const work = mkdtempSync(join(cache, 'tmp-'));
  try {
    writeFileSync(join(work, 'go.mod'), `module optional\n\ngo 1.21\n\nrequire ${module} ${version}\n`);
    const go = (...args) => attempt('go', args, until, work);
    go('mod', 'download', `${module}@${version}`);
    go('build', '-mod=mod', '-o', join(work, 'built'), program);
    place(name, join(cache, 'bin'), (fresh) => copyFileSync(join(work, 'built'), fresh));
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** A Python of its own with what a gRPC client needs, since the system's may not be written to. */
function getPython(name, { packages }, until) {
  if (!isOnPath('python3')) throw new Failure('there is no python3');
  const cache = writableCache();
  const home = join(cache, 'packages', name);
  rmSync(home, { recursive: true, force: true });
  mkdirSync(join(cache, 'packages'), { recursive: true });
  attempt('python3', ['-m', 'venv', home], until);
  const python = join(home, 'bin', 'python');
  attempt(python, ['-m', 'pip', 'install', '--quiet', '--only-binary', ':all:', ...packages], until);
  exposeByShell(name, `exec '${python}' "$@"`, join(cache, 'bin'));
}

/** `until` is by performance.now(). The end of what a program said tells why it failed. */
function attempt(program, args, until, cwd) {
  const timeout = Math.max(1, Math.ceil(until - performance.now()));
  const { ok, output, why } = tryRun(program, args, { cwd, timeout });
  if (!ok) throw new Failure(`${program} ${args.join(' ')} failed (${why}): ${output.trim().split('\n').at(-1)}`);
}
