import {
  accessSync,
  chmodSync,
  constants,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { delimiter, join, relative } from 'node:path';
import { cacheFolders, Failure, run, say, tryRun, writableCache } from './common.mjs';

/** Servers by the name that `--with` takes: the program, its packages, and the variable that names another program. */
export const SERVERS = {
  nats: { program: 'nats-server', debian: 'nats-server', brew: 'nats-server', override: 'HIVEBUS_NATS_SERVER' },
  redis: { program: 'redis-server', debian: 'redis-server', brew: 'redis', override: 'HIVEBUS_REDIS_SERVER' },
  etcd: { program: 'etcd', debian: 'etcd-server', brew: 'etcd', override: 'HIVEBUS_ETCD' },
};

export function findServer(name) {
  const { program, override } = SERVERS[name];
  return process.env[override] || findProgram(program);
}

/** On the PATH, or among what was fetched. */
export function findProgram(program) {
  const folders = [
    ...(process.env.PATH ?? '').split(delimiter),
    ...cacheFolders().map((folder) => join(folder, 'bin')),
  ];
  return folders
    .filter((folder) => folder !== '')
    .map((folder) => join(folder, program))
    .find(isExecutable);
}

/** Puts the program where `findServer` finds it, without root and without starting a system service. */
export function fetchServer(name) {
  const { program, debian, brew } = SERVERS[name];
  if (isOnPath('apt-get') && isOnPath('dpkg')) return fetchFromDebian(program, debian);
  if (isOnPath('brew')) {
    say(`installing ${program} (brew install ${brew})`);
    return void run('brew', ['install', brew]);
  }
  throw new Failure(`${program} is needed and there is neither apt nor brew here: install it and put it on the PATH`);
}

export function fetchFromDebian(program, firstPackage) {
  const cache = writableCache();
  say(`fetching ${program} from Debian's packages into ${cache}`);
  const work = mkdtempSync(join(cache, 'tmp-'));
  try {
    const tree = join(work, 'tree');
    const packages = unpackWithLibraries(firstPackage, work, tree);
    const found = walk(tree).find((path) => /\/s?bin\/[^/]+$/.test(path) && path.endsWith(`/${program}`));
    if (!found) throw new Failure(`Debian's package ${firstPackage} holds no ${program}: install ${program} yourself`);
    const home = join(cache, 'packages', program);
    mkdirSync(join(cache, 'packages'), { recursive: true });
    rmSync(home, { recursive: true, force: true });
    renameSync(tree, home);
    const libraries = packages.length > 1 ? libraryFolders(home) : [];
    expose(program, join(home, relative(tree, found)), join(cache, 'bin'), libraries);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/** Downloads and unpacks a package and those libraries of it that the system lacks. */
function unpackWithLibraries(first, work, tree) {
  const names = [first];
  for (const name of names) {
    download(name, work);
    const file = readdirSync(work).find((entry) => entry.startsWith(`${name}_`) && entry.endsWith('.deb'));
    if (!file) throw new Failure(`apt-get download ${name} left no package behind`);
    run('dpkg', ['-x', join(work, file), tree]);
    const depends = run('dpkg-deb', ['-f', join(work, file), 'Depends']);
    const wanted = depends.split(',').map((entry) => entry.trim().split(/[ :|(]/, 1)[0]);
    names.push(
      ...wanted.filter((dep) => /^(lib|lua-|redis-tools)/.test(dep) && !names.includes(dep) && !isInstalled(dep)),
    );
  }
  return names;
}

function download(name, work) {
  const attempts = [() => tryRun('apt-get', ['download', name], { cwd: work }), () => downloadByOwnLists(name, work)];
  const said = [];
  for (const attempt of attempts) {
    const result = attempt();
    if (result.ok) return;
    said.push(result.output.trim());
  }
  throw new Failure(`cannot fetch ${name}: install it yourself, e.g. sudo apt-get install ${name}\n${said.join('\n')}`);
}

/** When the system has no package lists, or stale ones, and we have no right to renew them. */
function downloadByOwnLists(name, work) {
  const apt = join(work, 'apt');
  const own = [
    '-o',
    `Dir::State::lists=${apt}/lists`,
    '-o',
    `Dir::Cache=${apt}/cache`,
    '-o',
    'APT::Sandbox::User=root',
  ];
  let said = '';
  if (!existsSync(apt)) {
    for (const folder of ['lists/partial', 'cache/archives/partial']) mkdirSync(join(apt, folder), { recursive: true });
    said = tryRun('apt-get', [...own, 'update'], { cwd: work }).output; // one source may fail and another have it
  }
  const result = tryRun('apt-get', [...own, 'download', name], { cwd: work });
  return { ...result, output: `${said}${result.output}` };
}

/** A program that came with libraries is started through a line of shell that says where they are. */
function expose(program, path, bin, libraries) {
  if (libraries.length > 0) {
    return exposeByShell(program, `LD_LIBRARY_PATH='${libraries.join(':')}' exec '${path}' "$@"`, bin);
  }
  place(program, bin, (fresh) => symlinkSync(relative(bin, path), fresh));
}

export function exposeByShell(program, line, bin) {
  place(program, bin, (fresh) => {
    writeFileSync(fresh, `#!/bin/sh\n${line}\n`);
    chmodSync(fresh, 0o755);
  });
}

/** At once, for whoever looks meanwhile. */
export function place(program, bin, write) {
  mkdirSync(bin, { recursive: true });
  const fresh = join(bin, `.${program}-${process.pid}`);
  write(fresh);
  renameSync(fresh, join(bin, program));
}

const libraryFolders = (home) => [
  ...new Set(
    walk(home)
      .filter((path) => /\.so(\.|$)/.test(path))
      .map((path) => path.slice(0, path.lastIndexOf('/'))),
  ),
];

const isInstalled = (name) => tryRun('dpkg', ['-s', name]).output.includes('install ok installed');

export const isOnPath = (program) =>
  (process.env.PATH ?? '').split(delimiter).some((folder) => isExecutable(join(folder, program)));

function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function walk(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    return entry.isDirectory() ? walk(path) : [path];
  });
}
