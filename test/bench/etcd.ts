import { execFileSync } from 'node:child_process';
import { mkdtempSync, openSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Etcd3, type Lease } from 'etcd3';
import { findServer } from '../../libs/service/nats-binary.ts';
import { spawnTied } from '../../libs/service/tied-process.ts';
import { until } from '../../libs/testkit/until.ts';
import { freePort } from './free-port.ts';

/** An etcd of one member with its defaults, which sync each write, and a client with a lease. */
export interface Etcd extends AsyncDisposable {
  readonly version: string;
  /** Puts a key under the lease. */
  put(key: string, value: string): Promise<unknown>;
}

/** Long enough for a run: what a lease costs here is its being named in each put, as in service discovery. */
const LEASE_S = 600;

export async function startEtcd(): Promise<Etcd> {
  const binary = findServer('etcd', process.env.HIVEBUS_ETCD);
  const version = /etcd Version: (\S+)/.exec(execFileSync(binary, ['--version']).toString())?.[1] ?? '?';
  const dir = mkdtempSync(join(tmpdir(), 'hivebus-etcd-'));
  const [client, peer] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  const args = [
    ...['--data-dir', join(dir, 'data'), '--log-level', 'error', '--logger', 'zap'],
    ...['--listen-client-urls', client, '--advertise-client-urls', client],
    ...['--listen-peer-urls', peer, '--initial-advertise-peer-urls', peer, '--initial-cluster', `default=${peer}`],
  ];
  const child = spawnTied(binary, args, openSync(join(dir, 'log'), 'a'));
  const exited = new Promise((resolve) => child.once('exit', resolve));
  const etcd = new Etcd3({ hosts: client });
  const lease = await until(() => leaseOf(etcd), 30_000);
  return {
    version,
    put: async (key, value) => lease.put(key).value(value),
    async [Symbol.asyncDispose]() {
      await lease.revoke();
      etcd.close();
      child.kill('SIGTERM');
      await exited;
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

/** Undefined while it does not answer yet. */
async function leaseOf(etcd: Etcd3): Promise<Lease | undefined> {
  const lease = etcd.lease(LEASE_S);
  lease.on('lost', () => {});
  try {
    await lease.grant();
    return lease;
  } catch {
    return undefined;
  }
}
