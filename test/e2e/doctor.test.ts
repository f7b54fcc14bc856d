import { chmodSync } from 'node:fs';
import { join } from 'node:path';
import { jetstreamManager } from '@nats-io/jetstream';
import { connect } from '@nats-io/transport-node';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { Playground } from './hivebus.ts';

/** doctor: what it finds in a federation that is well, and in one that is not. */

const playground = new Playground();

beforeAll(async () => {
  await playground.up();
  await playground.run(['federation', 'join', '--swarm', 'code']);
});
afterAll(() => playground[Symbol.asyncDispose]());

interface Report {
  readonly ok: boolean;
  readonly findings: readonly { check: string; status: string; found: string; mend: string }[];
}

async function examine(): Promise<Report & { code: number | null }> {
  const { code, stdout } = await playground.run(['doctor', '-o', 'json']);
  return { code, ...(JSON.parse(stdout) as Report) };
}

/** How full the disk of the machine is, is not for a test to say. */
const faultsOf = ({ findings }: Report) =>
  findings.filter(({ status, check }) => status === 'fault' && !['disk', 'file store'].includes(check));

test('a federation that is well has no faults; every part was looked at', async () => {
  const report = await examine();
  expect(faultsOf(report)).toEqual([]);
  expect(report.code).toBe(report.ok ? 0 : 1);
  const checks = report.findings.map(({ check }) => check);
  expect(checks).toEqual(
    expect.arrayContaining([
      'keys',
      'identity',
      'nats',
      'jetstream',
      'sync',
      'disk',
      'journal HIVE_main_pool',
      'pool in main',
    ]),
  );
});

test('a key that others may read, and a journal that is gone: told with how to mend them', async () => {
  const key = join(playground.folder, '.hivebus', 'keys', 'swarm-main-code.key');
  chmodSync(key, 0o644);
  const run = await playground.json<{ nats: { url: string } }>(['status']);
  const nc = await connect({ servers: run.nats.url });
  await (await jetstreamManager(nc)).streams.delete('HIVE_main_registry');
  await nc.close();
  const report = await examine();
  expect([report.code, report.ok]).toEqual([1, false]);
  expect(faultsOf(report)).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ check: key, mend: `chmod 600 ${key}` }),
      expect.objectContaining({ check: 'journal HIVE_main_registry', found: 'there is none' }),
    ]),
  );
});

test('when nothing runs it says so, and its exit code does', async () => {
  const { code, stdout } = await playground.run(['doctor', '--nats', 'nats://127.0.0.1:1']);
  expect(code).toBe(3);
  expect(stdout).toContain('start it: hivebus up');
});
