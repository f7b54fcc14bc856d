import { mkdir, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { systemClock } from '../libs/kernel/clock.ts';
import { operatorKeyFile, readOrCreateKey } from '../libs/sdk/keys.ts';
import { readConfig } from '../libs/service/config.ts';
import { requireRoom, watchRoom } from '../libs/service/disk-room.ts';
import { requireFreePort } from '../libs/service/free-port.ts';
import { startHealth } from '../libs/service/health.ts';
import { type NatsChild, startNatsChild } from '../libs/service/nats-child.ts';
import { requireFolder } from '../libs/service/own-folder.ts';
import { instanceOfProcess } from '../libs/telemetry/instance.ts';
import { createLogger, logFunction } from '../libs/telemetry/log.ts';
import { SpanBatches } from '../libs/telemetry/span-batches.ts';
import { startTelemetry } from '../libs/telemetry/telemetry.ts';
import { untilAborted } from './action.ts';
import { createAllInOne } from './all-in-one.ts';
import { requireNoneUp } from './already-up.ts';
import type { Context } from './context.ts';
import { colors, fields } from './output.ts';
import { findRun, type RunFile, removeRun, writeRun } from './run-file.ts';
import { shellWord } from './values.ts';

export interface UpOptions {
  readonly data: string;
  readonly port: number;
  readonly grpcPort?: number;
}

const GRPC_PORT = 7701;

/** The operator of an embedded Hivebus: whoever can read its folder. */
const OPERATOR = 'local';
const SERVICE = 'hivebus';

/** Runs everything until `context.signal` aborts. */
export async function up(context: Context, options: UpOptions): Promise<void> {
  const data = resolve(options.data);
  requireNoneUp(data);
  requireFolder(data, '--data');
  const { nats, ...config } = readConfig(process.env, { grpcPort: GRPC_PORT, home: data, traces: 'always' });
  const grpcPort = options.grpcPort ?? config.grpcPort ?? GRPC_PORT;
  await requireFreePort(config.host, grpcPort, '--grpc-port');
  const operator = process.env.HIVEBUS_OPERATOR || OPERATOR;
  const operatorKeys = config.operatorKeys ?? join(config.home, 'operators');

  const given = context.given.nats ?? (process.env.HIVEBUS_NATS ? nats.join(',') : undefined);
  // Made first: instruments and spans of whatever comes later count.
  const { traces, metricsPort, host } = config;
  const spans = new SpanBatches({ instance: instanceOfProcess() });
  const spanProcessors = [spans];
  await using telemetry = await startTelemetry({ service: SERVICE, traces, metricsPort, host, spanProcessors });
  const logger = createLogger({ service: SERVICE, level: process.env.HIVEBUS_LOG ? config.log : 'warn' });
  const crash = new AbortController();
  if (given === undefined) guardRoom(data, crash, context.signal);
  await using server =
    given === undefined
      ? await startNatsChild({
          dir: join(data, 'nats'),
          host: config.host,
          port: options.port,
          onCrash: (what, error) => {
            logger.error(error ? { err: error } : {}, what);
            if (error) crash.abort(error);
          },
        })
      : undefined;
  await publishOperator(config.home, operatorKeys, operator);
  const servers = server ? [server.url] : (given as string).split(',');
  await using all = await createAllInOne({
    nats: servers,
    ...(server ? {} : { access: config.busAccess }), // our own server wants no login
    onRefused: (error) => crash.abort(error),
    host: config.host,
    signal: AbortSignal.any([context.signal, crash.signal]),
    grpcPort,
    operatorKeys,
    replicas: config.replicas,
    log: logFunction(logger),
    observe: telemetry.observe,
    spans: { maxSpans: config.maxSpans, maxBytes: config.maxSpanBytes },
  });
  spans.sendBy(async (batch) => batch.forEach((span) => void all.spans.add(span, '')));
  const { healthPort } = config;
  await using _health =
    healthPort === undefined
      ? undefined
      : await startHealth({ host, port: healthPort, checks: all.checks, signal: context.signal });
  const run: RunFile = {
    nats: servers.join(','),
    grpc: `${config.host}:${all.grpcPort}`,
    pid: process.pid,
    home: config.home,
    operator,
    ...(server ? { monitoring: server.monitoring } : {}),
    startedAt: new Date().toISOString(),
  };
  await writeRun(data, run);
  try {
    context.output.data(run, () => welcome(run, data, server));
    await untilAborted(AbortSignal.any([context.signal, crash.signal]));
    if (crash.signal.aborted) throw crash.signal.reason;
    context.output.note('stopping; a second Ctrl-C ends it at once');
  } finally {
    await removeRun(data);
  }
}

/** Ends everything before the disk is full. */
function guardRoom(data: string, crash: AbortController, stopping: AbortSignal): void {
  requireFolder(join(data, 'nats'), '--data');
  requireRoom(data);
  const signal = AbortSignal.any([stopping, crash.signal]);
  void watchRoom(data, { clock: systemClock, signal, onFull: (error) => crash.abort(error) });
}

/** Makes the operator's key if there is none, and its public half known to the services. */
async function publishOperator(home: string, folder: string, name: string): Promise<void> {
  const key = await readOrCreateKey(operatorKeyFile(home, name));
  await mkdir(folder, { recursive: true });
  await writeFile(join(folder, `${name}.pub`), `${key.publicKey}\n`);
}

/** As it is called from here: in a clone it is on no PATH. */
function launcher(): string {
  const path = relative(process.cwd(), fileURLToPath(new URL('../../bin/hivebus', import.meta.url)));
  return path.startsWith('..') ? 'hivebus' : path;
}

/** Whether what was acknowledged survives a power cut; unknown of a server that others run. */
function syncing(server: NatsChild): string {
  if (server.syncsEachWrite) return 'each write is on disk before it is acknowledged';
  return `nats-server ${server.version} writes to disk later: a power cut may lose the last writes (2.10 or later: none)`;
}

function welcome(run: RunFile, data: string, server: NatsChild | undefined): string {
  const addresses = fields([
    ['nats', run.nats],
    ...(server ? ([['sync', syncing(server)]] as [string, string][]) : []),
    ['grpc', run.grpc],
    ['data', relative(process.cwd(), data) || '.'],
    ['operator', run.operator],
  ]);
  const hivebus = launcher();
  const steps = [
    ...wayThere(run),
    `${hivebus} status`,
    `${hivebus} agent run --swarm code --type echo --exec 'cat'`,
    `${hivebus} task submit --swarm code --type echo --payload '{"hello": 1}' --wait`,
    `${hivebus} trace --last`,
    `${hivebus} events`,
  ];
  return `${colors.bold('Hivebus is up.')} Ctrl-C stops it.\n\n${addresses}\n\nIn another terminal:\n${steps.map((step) => `  ${step}`).join('\n')}\n`;
}

/** What a command must be told to find this one; nothing where it finds it by itself, in this folder and below. */
function wayThere(run: RunFile): string[] {
  if (findRun(process.cwd())?.pid === run.pid && !process.env.HIVEBUS_NATS) return [];
  const operator = run.operator === OPERATOR ? '' : ` HIVEBUS_OPERATOR=${run.operator}`;
  return [`export HIVEBUS_NATS=${run.nats} HIVEBUS_HOME=${shellWord(run.home)}${operator}`];
}
