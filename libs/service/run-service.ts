import { join } from 'node:path';
import type { NatsConnection } from '@nats-io/nats-core';
import { connectBus } from '../bus/connect.ts';
import { observeBus } from '../bus/observe-bus.ts';
import { givenUp } from '../bus/refusal.ts';
import type { BusStatus } from '../bus/status.ts';
import type { JournalSettings } from '../journal/settings.ts';
import { type Clock, systemClock } from '../kernel/clock.ts';
import type { Authenticate, KeyRing } from '../rpc/authenticate.ts';
import type { Binding } from '../rpc/binding.ts';
import { serveBus } from '../rpc/bus-server.ts';
import { serveGrpc } from '../rpc/grpc-server.ts';
import type { Observe } from '../rpc/observe.ts';
import { spanSender } from '../rpc/span-sender.ts';
import { instanceOfProcess } from '../telemetry/instance.ts';
import { createLogger, logFunction } from '../telemetry/log.ts';
import { SpanBatches } from '../telemetry/span-batches.ts';
import { startTelemetry } from '../telemetry/telemetry.ts';
import { Closing } from './closing.ts';
import { readConfig, type ServiceConfig } from './config.ts';
import { startHealth } from './health.ts';
import { aborted, run } from './lifecycle.ts';
import { operatorKeys } from './operator-keys.ts';
import { VERSION } from './version.ts';

export type ServiceLog = (level: 'debug' | 'info' | 'warn' | 'error', message: string, fields?: object) => void;

/** What every service needs from its process. */
export interface ServiceDeps {
  readonly nc: NatsConnection;
  /** Carries announcements; one of its own keeps them from delaying acknowledgements. */
  readonly announcer: NatsConnection;
  readonly operatorKey: KeyRing['operatorKey'];
  /** For calls of other services. */
  readonly observe?: Observe | undefined;
  readonly clock?: Clock;
  readonly log?: ServiceLog;
}

/** What every service is to its process, to its own main and to the all-in-one. */
export interface Service extends AsyncDisposable {
  /** For the bus and gRPC servers. */
  readonly binding: Binding;
  /** What only gRPC carries: streams both ways. */
  readonly streams?: readonly Binding[];
  readonly authenticate: Authenticate;
  /**
   * Resolves when the federation `main` is served. Unless it is to `insist` (the default), it rejects with the first
   * failure that does not pass by itself.
   */
  ready(signal?: AbortSignal, insist?: boolean): Promise<void>;
  /** Why it is not ready; undefined when it is. */
  check(): string | undefined;
}

/** What a service of its own process is told by the environment. */
export interface ServiceSettings {
  readonly journal: Partial<JournalSettings>;
  /** How many spans a keeper of traces keeps. */
  readonly spans: { readonly maxSpans: number; readonly maxBytes: number };
}

export interface ServiceMain {
  /** E.g. `hivebus-registry`. */
  readonly name: string;
  readonly grpcPort: number;
  create(config: ServiceSettings, deps: ServiceDeps): Service;
}

/** A service as a process of its own: configuration from the environment, both adaptors, health, an orderly end. */
export function runService(main: ServiceMain): void {
  const config = readConfig(process.env, main);
  const log = createLogger({ service: main.name, level: config.log });
  const start = async (signal: AbortSignal) => {
    try {
      await serve(main, config, logFunction(log), signal);
    } catch (error) {
      if (!signal.aborted) throw error;
      log.warn({ err: error }, 'stopped before it was serving, or not in order');
    }
  };
  run(start, { log, stopMs: config.stopMs });
}

async function serve(main: ServiceMain, config: ServiceConfig, log: ServiceLog, signal: AbortSignal): Promise<void> {
  await using closing = new Closing();
  const { name } = main;
  const { nats, busAccess: access, host, grpcPort, healthPort, replicas } = config;
  const spans = new SpanBatches({ instance: instanceOfProcess() });
  const telemetry = closing.use(await startTelemetry({ service: name, ...config, spanProcessors: [spans] }));
  const connect = async (as: string) => {
    const onStatus = ({ level, message }: BusStatus) => log(level, message);
    const nc = await connectBus({ servers: nats, access, name: as, waitMs: config.busWaitMs, signal, onStatus });
    observeBus(nc, as);
    closing.use({ [Symbol.asyncDispose]: () => nc.close() });
    return nc;
  };
  const [nc, announcer] = [await connect(name), await connect(`${name}-announcer`)];
  spans.sendBy(spanSender(nc));
  const refused = Promise.race([givenUp(nc), givenUp(announcer)]);
  const whileAccepted = async (work: Promise<void>) => {
    const error = await Promise.race([work, refused]);
    if (error) throw error;
  };
  const keys = config.operatorKeys ?? join(config.home, 'operators');
  const operatorKey = operatorKeys(keys, systemClock, (fault) => log('warn', fault.message));
  const settings = { journal: { replicas }, spans: { maxSpans: config.maxSpans, maxBytes: config.maxSpanBytes } };
  const { observe } = telemetry;
  const service = closing.use(main.create(settings, { nc, announcer, operatorKey, observe, log }));
  const checks = { [service.binding.name]: service.check };
  if (healthPort !== undefined) closing.use(await startHealth({ host, port: healthPort, checks, signal }));
  await whileAccepted(service.ready(signal));
  const { binding, streams = [], authenticate } = service;
  const serving = { authenticate, observe };
  closing.use(await serveBus({ ...serving, bindings: [binding], nc, version: VERSION }));
  const bindings = [binding, ...streams];
  const grpc =
    grpcPort === undefined ? undefined : closing.use(await serveGrpc({ ...serving, bindings, host, port: grpcPort }));
  log('info', `${name} is serving`, { grpcPort: grpc?.port, metricsPort: telemetry.metricsPort });
  await whileAccepted(aborted(signal));
}
