import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { expect, test } from 'vitest';
import { until } from '../../libs/testkit/until.ts';

const module = new URL('../../dist/libs/testkit/nats-server.js', import.meta.url).href;
const script = `
  const { startNatsServer } = await import(${JSON.stringify(module)});
  const { pid, dir } = await startNatsServer();
  console.log(JSON.stringify({ pid, dir }));
`;

test.each(['SIGKILL', 'SIGTERM', 'SIGABRT'] as const)('a server dies with its parent by %s', async (signal) => {
  const parent = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = await once(parent.stdout, 'data');
  const { pid, dir } = JSON.parse(String(line)) as { pid: number; dir: string };
  expect(isAlive(pid)).toBe(true);
  parent.kill(signal);
  await until(() => !isAlive(pid));
  rmSync(dir, { recursive: true });
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
