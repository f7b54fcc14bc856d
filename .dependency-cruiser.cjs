/**
 * The dependency rule: main → service → adaptors and api → core → protocol → kernel. Read from the emitted JavaScript,
 * so it sees what is loaded; imports of types alone are checked in the sources, by biome.json: restricted imports, and no
 * circles of types either.
 */
const TEST = '(\\.test|[/-]fixtures)\\.js$';
const OURS = '^dist/';

/** `from` may import, of ours, only `to`. */
const only = (name, from, to, comment) => ({
  name,
  comment,
  severity: 'error',
  from: { path: from, pathNot: TEST },
  to: { path: OURS, pathNot: to },
});

module.exports = {
  forbidden: [
    only('kernel-stands-alone', '^dist/libs/kernel/', '^dist/libs/kernel/', 'the kernel imports nothing of ours'),
    only('wire-stands-alone', '^dist/libs/wire/', '^dist/libs/wire/', 'generated code imports nothing of ours'),
    only(
      'protocol-on-kernel',
      '^dist/libs/protocol/',
      '^dist/libs/(kernel|protocol)/',
      'protocol imports kernel alone',
    ),
    only(
      'core-is-pure',
      '^dist/services/([^/]+)/core/',
      '^dist/(libs/(kernel|protocol)|services/$1/core)/',
      'a core imports kernel and protocol; of wire only types',
    ),
    {
      name: 'pure-without-packages',
      comment: 'kernel, protocol and cores need no npm package',
      severity: 'error',
      from: { path: '^dist/(libs/(kernel|protocol)/|services/[^/]+/core/)', pathNot: TEST },
      to: { dependencyTypes: ['npm', 'npm-dev', 'npm-optional', 'npm-peer', 'npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'core-without-node',
      comment: 'a core has no clock, randomness, files or network',
      severity: 'error',
      from: { path: '^dist/services/[^/]+/core/', pathNot: TEST },
      to: { dependencyTypes: ['core'] },
    },
    only('libs-below-services', '^dist/libs/', '^dist/libs/', 'libs import libs'),
    only(
      'services-meet-on-the-bus',
      '^dist/services/([^/]+)/',
      '^dist/(libs|services/$1)/',
      'a service imports libs and itself, never another service',
    ),
    {
      name: 'nobody-imports-a-main',
      comment: 'a main is a process',
      severity: 'error',
      from: {},
      to: { path: '^dist/(services/[^/]+|cli)/main\\.js$' },
    },
    {
      name: 'testkit-is-for-tests',
      severity: 'error',
      from: { path: '^dist/(libs|services|cli|examples)/', pathNot: `${TEST}|^dist/libs/testkit/` },
      to: { path: `^dist/libs/testkit/|${TEST}` },
    },
    {
      name: 'no-dev-packages',
      comment: 'what runs in production is a dependency',
      severity: 'error',
      from: { path: '^dist/(libs|services|cli)/', pathNot: `${TEST}|^dist/libs/testkit/` },
      to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'] },
    },
    { name: 'no-cycles', severity: 'error', from: { path: OURS, pathNot: '^dist/libs/wire/' }, to: { circular: true } },
    { name: 'resolvable', severity: 'error', from: {}, to: { couldNotResolve: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    moduleSystems: ['es6', 'cjs'],
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['node', 'import', 'require', 'default'] },
  },
};
