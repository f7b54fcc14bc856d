import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';
import { findServer } from '../../libs/service/nats-binary.ts';
import { spawnTied } from '../../libs/service/tied-process.ts';
import { until } from '../../libs/testkit/until.ts';
import { freePort } from './free-port.ts';

/** A Redis of its own with an append-only file. */
export interface RedisServer extends AsyncDisposable {
  readonly port: number;
  readonly version: string;
}

/** `appendfsync`: when what was written is synced; `everysec` is what BullMQ's guide for production asks for. */
export async function startRedis(appendfsync: 'everysec' | 'always'): Promise<RedisServer> {
  const binary = findServer('redis-server', process.env.HIVEBUS_REDIS);
  const version = /v=(\S+)/.exec(execFileSync(binary, ['--version']).toString())?.[1] ?? '?';
  const dir = mkdtempSync(join(tmpdir(), 'hivebus-redis-'));
  const port = await freePort();
  const args = [
    ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', '', '--maxmemory-policy', 'noeviction'],
    ...['--appendonly', 'yes', '--appendfsync', appendfsync],
  ];
  const child = spawnTied(binary, args, openSync(join(dir, 'log'), 'a'));
  const exited = new Promise((resolve) => child.once('exit', resolve));
  await until(() => answers(port), 30_000);
  return {
    port,
    version,
    async [Symbol.asyncDispose]() {
      child.kill('SIGTERM');
      await exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function answers(port: number): Promise<boolean> {
  const redis = new Redis({ host: '127.0.0.1', port, lazyConnect: true, retryStrategy: () => null });
  redis.on('error', () => {});
  try {
    await redis.connect();
    return (await redis.ping()) === 'PONG';
  } catch {
    return false;
  } finally {
    redis.disconnect();
  }
}
