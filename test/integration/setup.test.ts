import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';
import { isAlive } from '../e2e/hivebus.ts';

// Setup on a bare clone of a tiny package, with stand-ins for npm, apt-get and dpkg that note how they were called.

const base = mkdtempSync(join(tmpdir(), 'hivebus-setup-'));
afterAll(() => rmSync(base, { recursive: true }));
const tools = fileURLToPath(new URL('../../tools', import.meta.url));
let count = 0;
let root = '';
let programs = '';

beforeEach(() => {
  root = join(base, String(count++));
  programs = join(root, 'programs');
  mkdirSync(programs, { recursive: true });
  cpSync(tools, join(root, 'tools'), { recursive: true });
  const lock = { packages: { '': {}, 'node_modules/a': { version: '1.0.0' }, 'node_modules/b': { optional: true } } };
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify(lock));
  for (const program of ['sh', 'mkdir', 'cat', 'cp', 'sleep', 'chmod']) linkProgram(program);
  symlinkSync(process.execPath, join(programs, 'node'));
  fake('npm', INSTALL);
});

const INSTALL = `sleep 0.2; mkdir -p node_modules/a; echo {} > node_modules/a/package.json
cp package-lock.json node_modules/.package-lock.json`;

function linkProgram(program: string): void {
  const folder = (process.env['PATH'] ?? '').split(':').find((each) => exists(join(each, program)));
  if (folder) symlinkSync(join(folder, program), join(programs, program));
}

function exists(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}

function fake(program: string, script: string): void {
  const path = join(programs, program);
  writeFileSync(path, `#!/bin/sh\necho "${program} $*" >> '${join(root, 'calls')}'\n${script}\n`);
  chmodSync(path, 0o755);
}

const calls = (): string[] =>
  exists(join(root, 'calls')) ? readFileSync(join(root, 'calls'), 'utf8').trim().split('\n') : [];

function setup(env: NodeJS.ProcessEnv = {}, args = ['--no-build']): Promise<{ code: number; said: string }> {
  return run('setup.mjs', env, args);
}

function run(tool: string, env: NodeJS.ProcessEnv, args: string[]): Promise<{ code: number; said: string }> {
  const all = { PATH: programs, HOME: join(root, 'home'), ...env };
  return new Promise((resolve) => {
    execFile(
      process.execPath,
      [join(root, 'tools', tool), ...args],
      { env: all, cwd: root },
      (error, stdout, stderr) => {
        resolve({ code: error ? Number(error.code) : 0, said: stdout + stderr });
      },
    );
  });
}

const withServer = { HIVEBUS_NATS_SERVER: '/anywhere' };

test('two at once install once, and a third finds nothing to do', async () => {
  const both = await Promise.all([setup(withServer), setup(withServer)]);
  expect(both.map(({ code }) => code)).toEqual([0, 0]);
  expect(calls()).toEqual(['npm ci --no-audit --no-fund']);
  expect(await setup(withServer)).toEqual({ code: 0, said: '' });
  expect(calls()).toHaveLength(1);
});

test('a changed lock file installs again; one left by a killed setup does not block', async () => {
  await setup(withServer);
  const lock = { packages: { '': {}, 'node_modules/a': { version: '1.0.1' } } };
  writeFileSync(join(root, 'package-lock.json'), JSON.stringify(lock));
  writeFileSync(join(root, '.setup.lock'), '999999999');
  expect((await setup(withServer)).code).toBe(0);
  expect(calls()).toHaveLength(2);
});

test('a failing step is told with its output, and the lock is let go', async () => {
  fake('npm', 'echo no network; false');
  const { code, said } = await setup(withServer);
  expect(code).toBe(1);
  expect(said).toContain('npm ci --no-audit --no-fund failed (exit code 1):\nno network');
  expect(exists(join(root, '.setup.lock'))).toBe(false);
});

test('packages that are noted as installed and are gone are installed again', async () => {
  await setup(withServer);
  rmSync(join(root, 'node_modules', 'a'), { recursive: true });
  expect((await setup(withServer)).code).toBe(0);
  expect(calls()).toHaveLength(2);
});

test('a missing compiler is no fault of the sources', async () => {
  writeFileSync(join(root, 'tsconfig.json'), '{}');
  const { code, said } = await setup(withServer, []);
  expect(code).toBe(1);
  expect(said).toMatch(/setup: .*typescript\/bin\/tsc is missing: remove node_modules, and run this again\n$/);
});

const npmPid = (): number => Number(readFileSync(join(root, 'npm.pid'), 'utf8').trim() || Number.NaN);
const npmRuns = (): boolean => exists(join(root, 'npm.pid')) && npmPid() > 0;

test.each(['SIGINT', 'SIGTERM'] as const)('%s ends npm with all that it started, then setup', async (signal) => {
  fake('npm', `sleep 60 & echo $! > '${join(root, 'npm.pid')}'; wait`);
  const child = spawnSetup();
  await until(npmRuns);
  child.kill(signal);
  expect(await once(child, 'exit')).toEqual([130, null]);
  await until(() => !isAlive(npmPid()));
  expect(exists(join(root, '.setup.lock'))).toBe(false);
  fake('npm', INSTALL);
  expect((await setup(withServer)).code).toBe(0);
});

test('npm that outlives a killed setup is waited for', async () => {
  fake('npm', `echo $$ > '${join(root, 'npm.pid')}'; until [ -f go ]; do sleep 0.1; done; ${INSTALL}`);
  const child = spawnSetup();
  await until(() => npmRuns() && readFileSync(join(root, '.setup.lock'), 'utf8').includes(` ${npmPid()}`));
  child.kill('SIGKILL');
  await once(child, 'exit');
  const next = setup(withServer);
  writeFileSync(join(root, 'go'), '');
  expect((await next).code).toBe(0);
  expect(calls()).toHaveLength(1);
});

function spawnSetup(): ChildProcess {
  const env = { PATH: programs, HOME: join(root, 'home'), ...withServer };
  return spawn(process.execPath, [join(root, 'tools', 'setup.mjs'), '--no-build'], { env, cwd: root, stdio: 'ignore' });
}

const DPKG = `case $1 in
  -x) mkdir -p "$3/usr/sbin"; echo '#!/bin/sh' > "$3/usr/sbin/nats-server"; chmod 755 "$3/usr/sbin/nats-server" ;;
  -s) echo 'Status: install ok installed' ;;
esac`;

test("a server comes from Debian's packages, with package lists of our own where the system has none", async () => {
  fake(
    'apt-get',
    `case "$*" in
    download*) echo 'E: Unable to locate package'; exit 100 ;;
    *download*) echo deb > nats-server_2.9_all.deb ;;
  esac`,
  );
  fake('dpkg', DPKG);
  fake('dpkg-deb', 'echo libc6');
  expect((await setup()).code).toBe(0);
  expect(calls().filter((call) => call.startsWith('apt-get'))).toEqual([
    'apt-get download nats-server',
    expect.stringMatching(/Dir::State::lists=.* update$/),
    expect.stringMatching(/Dir::State::lists=.* download nats-server$/),
  ]);
  expect(exists(join(root, 'home', '.cache', 'hivebus', 'bin', 'nats-server'))).toBe(true);
  expect(await setup()).toEqual({ code: 0, said: '' });
});

test('without a home that can be written the package keeps the server itself', async () => {
  fake('apt-get', 'echo deb > nats-server_2.9_all.deb');
  fake('dpkg', DPKG);
  fake('dpkg-deb', 'echo');
  expect((await setup({ HOME: '/dev/null' })).code).toBe(0);
  expect(exists(join(root, 'node_modules', '.cache', 'hivebus', 'bin', 'nats-server'))).toBe(true);
});

test('where nothing can fetch a server one line says what to do', async () => {
  const { code, said } = await setup();
  expect(code).toBe(1);
  expect(said.split('\n').at(-2)).toBe(
    'setup: nats-server is needed and there is neither apt nor brew here: install it and put it on the PATH',
  );
  expect((await setup({}, ['--with', 'mongodb'])).said).toContain(
    '--with mongodb is not known; known: nats,redis,etcd',
  );
});

test('setup and the services look for a fetched server in the same place', async () => {
  const bin = join(root, 'home', '.cache', 'hivebus', 'bin');
  mkdirSync(bin, { recursive: true });
  writeFileSync(join(bin, 'nats-server'), '#!/bin/sh\n');
  chmodSync(join(bin, 'nats-server'), 0o755);
  const module = new URL('../../dist/libs/service/nats-binary.js', import.meta.url).href;
  const script = `console.log((await import('${module}')).natsServerPath())`;
  const found = await new Promise<string>((resolve, reject) => {
    const env = { PATH: '/nowhere', HOME: join(root, 'home') };
    execFile(process.execPath, ['--input-type=module', '-e', script], { env }, (error, stdout) =>
      error ? reject(error) : resolve(stdout.trim()),
    );
  });
  expect([dirname(found), basename(found)]).toEqual([bin, 'nats-server']);
});

test('optional programs that cannot be had are said, and are no failure', async () => {
  const { code, said } = await run('optional.mjs', {}, []);
  expect(code).toBe(0);
  expect(said).toContain('prometheus: skipped: install prometheus and put it on the PATH');
  expect(said).toMatch(/grpcurl: skipped: there is no go to build github\.com\/fullstorydev\/grpcurl v[\d.]+ with/);
  expect(said).toContain('python-grpc: skipped: there is no python3');
  expect((await run('optional.mjs', {}, ['curl'])).code).toBe(2);
});

test('an optional program is built by Go, told why when that fails, and bounded in time', async () => {
  fake('go', `if [ "$1" = build ]; then echo '#!/bin/sh' > "$4"; chmod 755 "$4"; fi`);
  expect((await run('optional.mjs', {}, ['grpcurl'])).said).toContain('grpcurl: fetched');
  expect((await run('optional.mjs', {}, ['grpcurl'])).said).toBe('grpcurl: there\n');
  expect(calls().filter((call) => call.startsWith('go'))).toEqual([
    expect.stringMatching(/^go mod download github\.com\/fullstorydev\/grpcurl@v/),
    expect.stringMatching(/^go build -mod=mod -o .* github\.com\/fullstorydev\/grpcurl\/cmd\/grpcurl$/),
  ]);
  fake('go', 'echo reading list: 403 Forbidden; exit 1');
  expect((await run('optional.mjs', {}, ['nats'])).said).toMatch(
    /nats: skipped: go mod download .*: reading list: 403/,
  );
  fake('go', 'exec sleep 60');
  const late = await run('optional.mjs', {}, ['--within', '1', 'nats', 'prometheus']);
  expect(late.code).toBe(0);
  expect(late.said).toMatch(/nats: skipped: .*ETIMEDOUT[\s\S]*prometheus: skipped: the 1 s are over/);
});
