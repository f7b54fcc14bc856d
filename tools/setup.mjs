// Brings a fresh clone to where it can run, and is quick when there is nothing to do. Plain Node: node_modules may be absent.
//   node tools/setup.mjs [--with redis,etcd] [--no-build]
import { parseArgs } from 'node:util';
import { build, isBuilt } from './setup/build.mjs';
import { Failure } from './setup/common.mjs';
import { withLock } from './setup/lock.mjs';
import { installPackages, packagesAreInstalled } from './setup/packages.mjs';
import { fetchServer, findServer, SERVERS } from './setup/servers.mjs';

try {
  requireNode(20, 19);
  await setup(readOptions());
} catch (error) {
  if (!(error instanceof Failure)) throw error;
  console.error(`setup: ${error.message}`);
  process.exitCode = error.exitCode;
}

async function setup({ servers, wantsBuild }) {
  const steps = [
    { done: packagesAreInstalled, run: installPackages },
    ...servers.map((name) => ({ done: () => findServer(name) !== undefined, run: () => fetchServer(name) })),
    ...(wantsBuild ? [{ done: isBuilt, run: build }] : []),
  ];
  if (steps.every((step) => step.done())) return;
  await withLock(async () => {
    for (const step of steps) if (!step.done()) await step.run();
  });
}

function readOptions() {
  try {
    const { values } = parseArgs({ options: { with: { type: 'string' }, 'no-build': { type: 'boolean' } } });
    const asked = (values.with ?? '').split(',').filter((name) => name !== '');
    const unknown = asked.filter((name) => !(name in SERVERS));
    if (unknown.length > 0) throw new Failure(`--with ${unknown} is not known; known: ${Object.keys(SERVERS)}`);
    return { servers: [...new Set(['nats', ...asked])], wantsBuild: !values['no-build'] };
  } catch (error) {
    throw error instanceof Failure ? error : new Failure(error.message);
  }
}

function requireNode(major, minor) {
  const [haveMajor, haveMinor] = process.versions.node.split('.').map(Number);
  if (haveMajor > major || (haveMajor === major && haveMinor >= minor)) return;
  throw new Failure(`Node.js ${process.versions.node} is too old: install ${major}.${minor} or later`);
}
