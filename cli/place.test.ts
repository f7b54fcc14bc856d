import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { contextsFile, readContexts, writeContexts } from './contexts.ts';
import { placeOf } from './place.ts';

const home = mkdtempSync(join(tmpdir(), 'hivebus-place-'));
const project = mkdtempSync(join(tmpdir(), 'hivebus-project-'));
const env = { HIVEBUS_HOME: home };
const file = contextsFile(env);
const context = (nats: string, change = {}) => ({ nats, federation: 'main', as: '', home: '', ...change });
const contexts = {
  a: context('nats://a:1', { federation: 'fa', as: 'operator:ada', home: '/keys/a' }),
  b: context('nats://b:1'),
};

beforeAll(() => {
  mkdirSync(join(project, '.hivebus'));
  const keys = { home: '/keys/run', operator: 'local' };
  const run = { nats: 'nats://run:1', grpc: 'run:2', ...keys, pid: process.pid, startedAt: '2026-01-01T00:00:00Z' };
  writeFileSync(join(project, '.hivebus', 'run.json'), JSON.stringify(run));
});
afterAll(() => {
  for (const folder of [home, project]) rmSync(folder, { recursive: true });
});

const place = (said = {}, more: NodeJS.ProcessEnv = {}) => {
  const { nats, federation, as, home: keys, context: name } = placeOf(said, { ...env, ...more }, project);
  return [nats, federation, as, keys, name].join(' ');
};

test('the nearest word goes: option, named context, environment, current context, folder, default', () => {
  rmSync(file, { force: true });
  expect(placeOf({}, {}, project)).toMatchObject({ nats: 'nats://run:1', home: '/keys/run' });
  expect(placeOf({}, env, home)).toMatchObject({ nats: 'nats://127.0.0.1:4222', federation: 'main', home });
  writeContexts({ current: '', contexts }, file);
  expect(place({ context: 'a' })).toBe('nats://a:1 fa operator:ada /keys/a a');
  expect(place({ context: 'a', nats: 'nats://x:1', as: 'swarm:x' })).toBe('nats://x:1 fa swarm:x /keys/a a');
  expect(place({ context: 'a' }, { HIVEBUS_NATS: 'nats://env:1' })).toBe('nats://a:1 fa operator:ada /keys/a a');
  expect(place({}, { HIVEBUS_CONTEXT: 'b', HIVEBUS_FEDERATION: 'fe' })).toBe(`nats://b:1 main  ${home} b`);
  writeContexts({ current: 'a', contexts }, file);
  expect(place({}, { HIVEBUS_FEDERATION: 'fe' })).toBe(`nats://a:1 fe operator:ada ${home} a`);
  expect(place({ nats: 'nats://x:1' })).toBe(`nats://x:1 main  ${home} `); // elsewhere the current context has no say
  expect(() => place({ context: 'c' })).toThrow('context "c" is not known; did you mean a?');
});

test.each([
  ['x', 'is not valid JSON'],
  ['[]', 'all of it: [] must be an object'],
  ['null', 'all of it: null must be an object'],
  ['{"contexts": 5}', 'contexts: 5 must be an object'],
  ['{"current": 5, "contexts": null}', 'current: 5 must be a text; contexts: null must be an object'],
  ['{"contexts": {"a": []}}', 'contexts.a: [] must be an object'],
  ['{"contexts": {"a": {"nats": 5, "home": {}}}}', 'contexts.a.nats: 5 must be a text; contexts.a.home: {}'],
  ['{"contexts": {"a": {"nats": "nats://u:secret@"}}}', 'contexts.a.nats: "nats://***@" '],
  ['{"contexts": {"a": {"nats": "nats://a:1"}}}', 'contexts.a.federation: "" must match'],
  ['{"contexts": {"A": {"nats": "nats://a:1", "federation": "f"}}}', 'contexts.A.name: "A" must match'],
])('a file that holds %s is told with the part that is wrong, and is not used', (text, what) => {
  writeFileSync(file, text);
  expect(() => readContexts(file)).toThrow(`cannot use ${file}: `);
  expect(() => readContexts(file)).toThrow(what);
  expect(() => placeOf({}, env, project)).toThrow('; mend it or remove it');
});
