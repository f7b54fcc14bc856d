import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createAllInOne } from '../../cli/all-in-one.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { Closing } from '../../libs/service/closing.ts';
import { startTelemetry } from '../../libs/telemetry/telemetry.ts';
import { startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import { optional } from '../e2e/clients/programs.ts';

/** A real Prometheus, with the configuration of the examples, on services in this process. */

const prometheus = optional('prometheus');

interface Answer {
  readonly data: { readonly result: { readonly metric: Record<string, string>; readonly value: [number, string] }[] };
}

test.skipIf(!prometheus)('Prometheus finds the services up, and answers what they counted', async () => {
  await using closing = new Closing();
  const folder = mkdtempSync(join(tmpdir(), 'hivebus-prometheus-'));
  closing.use({ [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }) });
  const telemetry = closing.use(await startTelemetry({ service: 'hivebus', traces: 'off', metricsPort: 0 }));
  const nats = closing.use(await startNatsServer());
  const { observe } = telemetry;
  const addresses = { nats: [nats.url], host: '127.0.0.1', grpcPort: 0 };
  const operatorKeys = join(folder, 'operators');
  closing.use(await createAllInOne({ ...addresses, operatorKeys, observe, onRefused: () => {} }));
  const hive = closing.use(await connect({ servers: nats.url, home: folder, env: {} }));
  await hive.registry.listSwarms({});

  const address = await startPrometheus(closing, folder, telemetry.metricsPort ?? 0);
  const query = async (text: string): Promise<Answer['data']['result']> => {
    const answer = await fetch(`http://${address}/api/v1/query?query=${encodeURIComponent(text)}`);
    return ((await answer.json()) as Answer).data.result;
  };
  const up = await until(async () => (await query('up{job="hivebus"} == 1'))[0], 60_000);
  expect(up.value[1]).toBe('1');
  const calls = 'sum by (service, code) (rpc_seconds_count{side="server", method="ListSwarms"})';
  const counted = await until(async () => (await query(calls))[0], 60_000);
  expect(counted.metric).toEqual({ service: 'registry', code: 'OK' });
  expect(Number(counted.value[1])).toBeGreaterThanOrEqual(1);
});

/** On a free port, which it tells; our example's configuration with the port that is scraped here. */
async function startPrometheus(closing: Closing, folder: string, port: number): Promise<string> {
  const example = readFileSync('examples/clients/prometheus.yml', 'utf8');
  const config = join(folder, 'prometheus.yml');
  writeFileSync(config, example.replace(':9464', `:${port}`).replace('scrape_interval: 5s', 'scrape_interval: 1s'));
  const args = [`--config.file=${config}`, `--storage.tsdb.path=${folder}/data`, '--web.listen-address=127.0.0.1:0'];
  const child = spawn(prometheus ?? '', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  closing.use({ [Symbol.asyncDispose]: () => ended(child) });
  let said = '';
  child.stderr.on('data', (chunk) => {
    said += chunk;
  });
  const [, address] = await until(() => /address=(127\.0\.0\.1:[1-9]\d*)/.exec(said), 60_000);
  return address as string;
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const closed = new Promise((resolve) => child.once('close', resolve));
  child.kill('SIGKILL');
  await closed;
}
