import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '@nats-io/transport-node';
import { afterAll, expect, test } from 'vitest';
import { isAtLeast } from '../bus/version.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import { until } from '../testkit/until.ts';
import { listen } from './listen.ts';
import { startNatsChild } from './nats-child.ts';

const base = mkdtempSync(join(tmpdir(), 'hivebus-child-'));
afterAll(() => rmSync(base, { recursive: true }));
const host = '127.0.0.1';
let count = 0;
const options = () => ({ dir: join(base, String(count++)), host, port: 0 });

test('serves JetStream and says truly whether it syncs each write', async () => {
  await using child = await startNatsChild(options());
  const nc = await connect({ servers: child.url });
  expect(nc.info?.version).toBe(child.version);
  expect(nc.info?.jetstream).toBe(true);
  expect(child.syncsEachWrite).toBe(isAtLeast(child.version, '2.10.0'));
  await nc.close();
});

test('is started again on its port when it ends unasked', async () => {
  const crashes: string[] = [];
  await using child = await startNatsChild({ ...options(), onCrash: (what) => crashes.push(what) });
  const first = child.pid;
  process.kill(first, 'SIGKILL');
  await until(() => crashes.length > 0);
  expect(crashes).toEqual(['nats-server ended unasked (ended by SIGKILL) and was started again']);
  expect(child.pid).not.toBe(first);
  await (await connect({ servers: child.url })).close();
});

test('one that hears no SIGTERM is ended all the same', async () => {
  const quick: Clock = { ...systemClock, after: (ms, run) => systemClock.after(ms / 50, run) };
  const child = await startNatsChild({ ...options(), clock: quick });
  process.kill(child.pid, 'SIGSTOP');
  await child[Symbol.asyncDispose]();
  expect(() => process.kill(child.pid, 0)).toThrow('ESRCH');
});

test('a port that is taken is told, with what takes it', async () => {
  await using first = await startNatsChild(options());
  const port = Number(new URL(first.url).port);
  const second = startNatsChild({ ...options(), port });
  await expect(second).rejects.toThrow(`a nats-server ${first.version} listens on ${host}:${port} already`);
  await expect(second).rejects.toThrow(`--nats ${first.url}`);
  const other = createServer((socket) => socket.end('220 hello\r\n'));
  const taken = await listen(other, host, 0, '');
  await expect(startNatsChild({ ...options(), port: taken })).rejects.toThrow(/in use by (pid \d+|another process)/);
  other.close();
});

test('two servers never share a folder', async () => {
  const mine = options();
  await using first = await startNatsChild(mine);
  await expect(startNatsChild(mine)).rejects.toThrow(`used by a nats-server that runs (pid ${first.pid})`);
});

test('a program that is too old, or no nats-server, or not there is refused', async () => {
  const program = (text: string) => {
    const path = join(base, `program-${count++}`);
    writeFileSync(path, `#!/bin/sh\n${text}\n`);
    chmodSync(path, 0o755);
    return path;
  };
  const start = (binary: string) => startNatsChild({ ...options(), binary });
  await expect(start(program('echo nats-server: v2.8.4'))).rejects.toThrow(/is version 2.8.4, Hivebus needs 2.9.10/);
  await expect(start(program('echo hello'))).rejects.toThrow("which is no nats-server's version");
  await expect(start(join(base, 'none'))).rejects.toThrow('cannot be run');
});
