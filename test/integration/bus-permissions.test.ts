import { execFileSync } from 'node:child_process';
import { cpSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { jetstreamManager } from '@nats-io/jetstream';
import { errors, type NatsConnection } from '@nats-io/nats-core';
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { journalSubject, leaderSubject, rpcSubject, taskLogSubject } from '../../libs/protocol/subjects.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';

/** What docker-compose.yml gives NATS, on a server of the test's own: secrets as the container makes them. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));

let folder: string;
let server: NatsServer;

const makeSecrets = (): string =>
  execFileSync(process.execPath, [join(ROOT, 'dist/deploy/docker/secrets/main.js'), folder], { encoding: 'utf8' });

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'hivebus-permissions-'));
  makeSecrets();
  cpSync(join(ROOT, 'deploy/nats/access.conf'), join(folder, 'access.conf'));
  cpSync(join(folder, 'nats'), join(folder, 'secrets'), { recursive: true });
  server = await startNatsServer({ config: `include ../${basename(folder)}/access.conf` }); // relative to its own folder
});
afterAll(async () => {
  await server?.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function connectAs(who: 'service' | 'client'): Promise<{ nc: NatsConnection; refused: string[] }> {
  const access = { nkeyFile: join(folder, who, 'nats.nk') };
  const nc = await connectBus({ servers: server.url, name: who, access, jetStream: false });
  onTestFinished(() => nc.close());
  const refused: string[] = [];
  void (async () => {
    for await (const status of nc.status()) {
      if (status.type === 'error' && status.error instanceof errors.PermissionViolationError)
        refused.push(status.error.subject);
    }
  })();
  return { nc, refused };
}

test('swarms and agents may ask and write task logs, but no journals; JetStream is closed to them', async () => {
  const { nc, refused } = await connectAs('client');
  const forbidden = [journalSubject('main', 'pool'), leaderSubject('main', 'pool'), '$JS.API.STREAM.LIST'];
  for (const subject of forbidden) nc.publish(subject);
  await until(() => refused.length === forbidden.length);
  expect(refused.sort()).toEqual([...forbidden].sort());
  for (const subject of [rpcSubject('main', 'pool', 'GetTask'), taskLogSubject('main', 'task-1')]) nc.publish(subject);
  await nc.flush();
  expect(refused).toHaveLength(forbidden.length);
});

test('services may do all', async () => {
  const { nc } = await connectAs('service');
  const jsm = await jetstreamManager(nc);
  const subject = journalSubject('main', 'pool');
  await jsm.streams.add({ name: 'HIVE_main_pool', subjects: [subject] });
  expect(await jsm.jetstream().publish(subject)).toMatchObject({ seq: 1 });
});

test('secrets are made once', () => {
  const before = readFileSync(join(folder, 'client', 'nats.nk'), 'utf8');
  expect(makeSecrets()).toBe('');
  expect(readFileSync(join(folder, 'client', 'nats.nk'), 'utf8')).toBe(before);
});
