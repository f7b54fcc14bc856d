import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { createServer as createHttp2 } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { listen } from '../../libs/service/listen.ts';
import { until } from '../../libs/testkit/until.ts';
import { Playground } from './hivebus.ts';

/** What the command line says when nothing runs. */

const playground = new Playground();
afterAll(() => playground[Symbol.asyncDispose]());

/** A port on which nobody listens. */
async function deadPort(): Promise<number> {
  const server = createServer();
  const port = await listen(server, '127.0.0.1', 0, '');
  await new Promise((resolve) => server.close(resolve));
  return port;
}

test.each([
  [['status']],
  [['federation', 'swarms']],
  [['task', 'list']],
  [['events']],
  [['agent', 'run', '--swarm', 'code', '--type', 'x', '--exec', 'true']],
])('%j says that nothing runs and how to start it', async (args) => {
  const { code, stdout, stderr } = await playground.run([...args, '--nats', `nats://127.0.0.1:${await deadPort()}`]);
  expect(code).toBe(3);
  expect(stdout).toBe('');
  expect(stderr).toContain('hivebus up');
});

test.each([
  [[]],
  [['nonsense']],
  [['task', 'submit']],
  [['task', 'list', '--limit', 'x']],
  [['status', '-o', 'xml']],
  [['agent', 'run', '--swarm', 'code', '--type', 'x']],
  [['agent', 'run', '--swarm', 'code', '--type', 'x', '--exec', 'a', '--', 'b']],
  [['task', 'submit', '--swarm', 'code', '--type', 'x', '--payload', '{']],
  [['status', '--as', 'king:arthur']],
])('%j is wrong usage', async (args) => {
  const { code, stdout } = await playground.run(args);
  expect(code).toBe(2);
  expect(stdout).toBe('');
});

test.each([
  [['apply', 'x.yaml'], "too many arguments for 'apply'. Expected options only"],
  [['apply', '-f', 'nosuch.yaml'], 'cannot read "nosuch.yaml": there is no such file or folder'],
  [['completion', 'tcsh'], "argument <shell> 'tcsh' is invalid. Allowed choices are bash, zsh, fish"],
  [['task', 'list', '--state', 'queued,runing'], 'Did you mean running?'],
  [['set', 'lending', 'docs', '--to', ''], 'Name a swarm at least, or say --to-any'],
  [['explain', 'nightly', '--swarm', 'code'], '--swarm: "code" goes with --borrow only'],
])('%j is told as: %s', async (args, said) => {
  const { code, stderr } = await playground.run(args);
  expect(code).toBe(2);
  expect(stderr).toContain(said);
});

test('help is no failure', async () => {
  const { code, stdout } = await playground.run(['agent', 'run', '--help']);
  expect(code).toBe(0);
  expect(stdout).toContain('SIGTERM to the whole group');
});

test('an operator without a key is denied, as is a key that others may read', async () => {
  const missing = await playground.run(['--as', 'operator:ada', 'status']);
  expect(missing).toMatchObject({ code: 5, stderr: expect.stringContaining('operator ada has no key here') });
  const file = join(playground.folder, '.config', 'hivebus', 'keys', 'swarm-main-code.key');
  await playground.run(['register-swarm', 'code', '--nats', `nats://127.0.0.1:${await deadPort()}`]);
  expect(existsSync(file)).toBe(false);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, 'whatever', { mode: 0o644 });
  const open = await playground.run(['register-swarm', 'code']);
  expect(open).toMatchObject({ code: 5, stderr: expect.stringContaining(`chmod 600 ${file}`) });
});

test('a port that is something else than NATS is told at once', async () => {
  const grpc = createHttp2();
  const port = await listen(grpc as unknown as Server, '127.0.0.1', 0, '');
  const { code, stderr } = await playground.run(['status', '--nats', `nats://127.0.0.1:${port}`]);
  grpc.close();
  expect(code).toBe(3);
  expect(stderr).toContain('does not speak NATS (it speaks HTTP/2, as gRPC does)');
});

test.each(['SIGINT', 'SIGTERM'] as const)(
  '%s ends a command that waits for a server which says nothing',
  async (signal) => {
    const taken: Socket[] = [];
    const silent = createServer((socket) => taken.push(socket));
    const port = await listen(silent, '127.0.0.1', 0, '');
    const started = playground.start(['events', '--nats', `nats://127.0.0.1:${port}`]);
    await until(() => taken.length > 0);
    started.child.kill(signal);
    expect(await started.ended).toMatchObject({ code: 130, signal: null, stdout: '' });
    for (const socket of taken) socket.destroy();
    silent.close();
  },
);

test('up says so when the port is taken', async () => {
  const server = createServer();
  const port = await listen(server, '127.0.0.1', 0, '');
  const { code, stderr } = await playground.run(['up', '--port', String(port), '--grpc-port', '0']);
  server.close();
  expect(code).not.toBe(0);
  expect(stderr).toContain(`${port} is in use`);
  expect(stderr).toContain('--nats URL');
});

test('a half written run file is as good as none', async () => {
  mkdirSync(join(playground.folder, '.hivebus'), { recursive: true });
  writeFileSync(join(playground.folder, '.hivebus', 'run.json'), '{"nats": ');
  expect((await playground.run(['status', '--nats', `nats://127.0.0.1:${await deadPort()}`])).code).toBe(3);
});
