import { existsSync } from 'node:fs';
import { connect } from '@nats-io/transport-node';
import { expect, test } from 'vitest';
import { startNatsServer } from './nats-server.ts';

test('a server starts on a free port, keeps its port over restarts, and leaves nothing', async () => {
  const server = await startNatsServer({ monitoring: true });
  const nc = await connect({ servers: server.url });
  expect(nc.info?.jetstream).toBe(true);
  expect(await (await fetch(`${server.monitoring}/healthz`)).text()).toContain('ok');
  await nc.close();
  const first = server.pid;
  await server.restart('SIGKILL');
  expect(server.pid).not.toBe(first);
  await (await connect({ servers: server.url })).close();
  server.pause();
  await server.stop();
  expect(existsSync(server.dir)).toBe(false);
  expect(isAlive(server.pid)).toBe(false);
});

test('two servers do not meet', async () => {
  await using one = await startNatsServer();
  await using two = await startNatsServer({ maxFileStoreBytes: 1_000_000 });
  expect(one.port).not.toBe(two.port);
});

test('a server that cannot start says why', async () => {
  await expect(startNatsServer({ config: 'no such = { setting' })).rejects.toThrow(/did not start.*log ends with/s);
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
