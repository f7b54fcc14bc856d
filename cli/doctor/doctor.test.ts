import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { HiveError } from '../../libs/kernel/errors.ts';
import { report } from '../commands/doctor.ts';
import { clockFinding } from './bus.ts';
import { broken, bytesText, fullness, look, ok, unknown, warning } from './finding.ts';
import { deadLettersFinding } from './journals.ts';
import { lookAtKeys } from './keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'hivebus-doctor-'));
afterAll(() => rmSync(folder, { recursive: true }));

test('how full something is, in words', () => {
  const statusOf = (used: number, limit: number) => fullness('x', used, limit, 'used', 'make room').status;
  expect([statusOf(79, 100), statusOf(81, 100), statusOf(96, 100), statusOf(96, 0)]).toEqual([
    'ok',
    'warning',
    'fault',
    'ok',
  ]);
  expect([0, 1023, 1536, 5 << 20].map(bytesText)).toEqual(['0 B', '1023 B', '1.5 KiB', '5 MiB']);
});

test('a clock differs only by more than the way there explains', () => {
  const at = (ms: number) => new Date(1_000_000 + ms).toISOString();
  const seen = (offsetMs: number) => clockFinding('clock', at(offsetMs), 1_000_000 - 50, 1_000_000 + 50);
  expect(seen(40)).toMatchObject({ status: 'ok', found: 'the same as here' });
  expect(seen(-90)).toMatchObject({ status: 'ok', found: '40 ms behind ours' });
  expect(seen(2000)).toMatchObject({ status: 'warning', found: '1950 ms ahead of ours' });
  expect(seen(-60_000).status).toBe('fault');
  expect(clockFinding('clock', 'soon', 0, 1).status).toBe('unknown');
});

test('failed tasks are counted, with what shows them', () => {
  const of = (count: number) => deadLettersFinding('dead letters', count);
  expect(of(0)).toMatchObject({ status: 'ok', found: 'none' });
  expect(of(1)).toMatchObject({ status: 'warning', found: '1 failed task is kept' });
  expect(of(2).found).toBe('2 failed tasks are kept');
  expect(of(2)).toMatchObject({ mend: 'read them with their reasons: hivebus task dead-letters' });
});

test('keys: none, well kept, and open to others', async () => {
  expect(await lookAtKeys(folder)).toMatchObject([{ status: 'warning' }]);
  const keys = join(folder, 'keys');
  mkdirSync(keys, { mode: 0o700 });
  writeFileSync(join(keys, 'swarm-main-code.key'), 'x', { mode: 0o600 });
  expect(await lookAtKeys(folder)).toMatchObject([{ status: 'ok', found: expect.stringContaining('swarm-main-code') }]);
  chmodSync(keys, 0o755);
  chmodSync(join(keys, 'swarm-main-code.key'), 0o640);
  expect(await lookAtKeys(folder)).toMatchObject([
    { status: 'warning', mend: `chmod 700 ${keys}` },
    { status: 'fault', mend: `chmod 600 ${join(keys, 'swarm-main-code.key')}` },
    { status: 'ok' },
  ]);
  for (let i = 0; i < 10; i++) writeFileSync(join(keys, `swarm-main-z${i}.key`), 'x', { mode: 0o600 });
  const [all] = (await lookAtKeys(folder)).slice(-1);
  expect(all?.found).toMatch(/^11 in .*keys: swarm-main-code, .*swarm-main-z6, and 3 more$/);
});

test('a look that fails is a finding', async () => {
  const fails = () => Promise.reject(new HiveError('UNAVAILABLE', 'nobody is there'));
  expect(await look('x', 'start it', fails)).toEqual([broken('x', 'nobody is there', 'start it')]);
});

test.each([80, 160])('the report at %d columns', async (width) => {
  const findings = [
    ok('nats', 'nats-server 2.12.1 (nats-1), of cluster hive'),
    unknown('sync', 'the monitoring port is not known', 'give it: --monitoring http://HOST:8222'),
    warning(
      'journal HIVE_main_registry, its copies',
      'leader nats-2, followers nats-1 (0 behind), nats-3 (120 behind); not in step: nats-3',
      'wait for those that catch up',
    ),
    broken('pool in main', 'nobody leads', 'look into its log'),
  ];
  await expect(`${report(findings, width)}\n`).toMatchFileSnapshot(`golden/report-${width}.txt`);
  expect(report(findings.slice(0, 1))).toContain('all is well');
  expect(report(findings.slice(0, 3))).toContain('nothing is broken, 1 warning');
});
