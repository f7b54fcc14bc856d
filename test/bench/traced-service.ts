import type { NatsConnection } from '@nats-io/nats-core';
import { connectBus } from '../../libs/bus/connect.ts';
import { openJournal } from '../../libs/journal/open.ts';
import { serveBus } from '../../libs/rpc/bus-server.ts';
import { activeTraceparent } from '../../libs/rpc/observe.ts';
import { startTelemetry } from '../../libs/telemetry/telemetry.ts';
import { freshTraceparent } from '../../libs/telemetry/traceparent.ts';
import { startNatsServer } from '../../libs/testkit/nats-server.ts';
import { createRegistry } from '../../services/registry/service.ts';
import { answer } from './children.ts';
import { measure } from './harness.ts';
import { notes } from './notes-machine.ts';

/** A process with telemetry of one kind: a registry on a bus of its own, and a small journal to be used in process. */
const mode = process.argv[2] ?? 'off';
const traces = mode === 'off' || mode === 'always' ? mode : Number(mode);

await using server = await startNatsServer();
const connect = (name: string): Promise<NatsConnection> => connectBus({ servers: server.url, name });
const telemetry = await startTelemetry({ service: 'bench', traces });
const { observe } = telemetry;
const [nc, announcer] = [await connect('traced'), await connect('traced-announcer')];
const operator = { kind: 'operator', name: 'bench', key: '' } as const;
const authenticate = () => operator;
const registry = createRegistry({}, { nc, announcer, operatorKey: () => undefined });
await registry.ready();
const bus = await serveBus({ nc, bindings: [registry.binding], authenticate, observe, version: '0.0.0' });
const journal = await openJournal({ machine: notes, federation: 'main', nc, announcer, soft: undefined, authenticate });
await journal.ready();

/** As a server does with a call: within its span, if there is one. Clients begin traces, telemetry or not. */
async function execute(i: number): Promise<unknown> {
  const trace = { traceparent: freshTraceparent(), correlationId: `c${i}`, hops: 0 };
  const call = { federation: 'main', principal: operator, token: '', signal: never };
  const input = { key: `k${i % 1000}` };
  if (!observe) return journal.execute('put', input, { ...call, trace });
  const info = {
    side: 'server',
    transport: 'bus',
    service: 'bench',
    method: 'Put',
    fullName: 'hivebus.bench.v1.BenchService/Put',
    federation: 'main',
    trace,
  } as const;
  return observe(info, () => {
    const traceparent = activeTraceparent() || trace.traceparent;
    return journal.execute('put', input, { ...call, trace: { ...trace, traceparent } });
  });
}

const never = new AbortController().signal;

export interface Question {
  /** Commands to execute in process, 64 in flight; 0 = none. */
  readonly commands: number;
}

export interface Answer {
  readonly url: string;
  readonly perSecond: number;
  /** Processor time of this process since it began, in microseconds. */
  readonly processorUs: number;
}

async function reply({ commands }: Question): Promise<Answer> {
  const perSecond = commands === 0 ? 0 : (await measure(64, commands, execute)).perSecond;
  const { user, system } = process.cpuUsage();
  return { url: server.url, perSecond, processorUs: user + system };
}

await new Promise<void>((resolve) => {
  answer(reply, async () => resolve());
});
await bus.stop();
await journal[Symbol.asyncDispose]();
await registry[Symbol.asyncDispose]();
await telemetry[Symbol.asyncDispose]();
await Promise.all([nc.close(), announcer.close()]);
