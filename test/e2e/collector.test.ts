import { createServer } from 'node:http';
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listen } from '../../libs/service/listen.ts';
import { until } from '../../libs/testkit/until.ts';
import { Playground } from './hivebus.ts';

/** Spans by OTLP, as the standard variables say: from a service and from a command, over each protocol. */

let playground: Playground;
beforeAll(() => {
  playground = new Playground();
});
afterAll(() => playground?.[Symbol.asyncDispose]());

/** A collector: everything that came, as text; and the address. */
interface Collector extends AsyncDisposable {
  readonly endpoint: string;
  readonly received: Buffer[];
}

async function overHttp(): Promise<Collector> {
  const received: Buffer[] = [];
  const server = createServer((request, response) => {
    if (request.url !== '/v1/traces') return void response.writeHead(404).end();
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      received.push(Buffer.concat(chunks));
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}');
    });
  });
  const port = await listen(server, '127.0.0.1', 0, 'collector');
  const close = async () => {
    server.closeAllConnections();
    server.close();
  };
  return { endpoint: `http://127.0.0.1:${port}`, received, [Symbol.asyncDispose]: close };
}

async function overGrpc(): Promise<Collector> {
  const received: Buffer[] = [];
  const server = new Server();
  const keep = (bytes: Buffer) => bytes;
  const method = {
    path: '/opentelemetry.proto.collector.trace.v1.TraceService/Export',
    ...{ requestStream: false, responseStream: false },
    ...{ requestSerialize: keep, requestDeserialize: keep, responseSerialize: keep, responseDeserialize: keep },
  };
  server.addService(
    { Export: method },
    {
      Export: ({ request }: { request: Buffer }, callback: (error: null, answer: Buffer) => void) => {
        received.push(request);
        callback(null, Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  const close = async () => server.forceShutdown();
  return { endpoint: `http://127.0.0.1:${port}`, received, [Symbol.asyncDispose]: close };
}

test.each([
  ['http/json', overHttp],
  ['http/protobuf', overHttp],
  ['grpc', overGrpc],
])('by %s', async (protocol, start) => {
  await using collector = await start();
  const env = {
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
    OTEL_EXPORTER_OTLP_PROTOCOL: protocol,
    OTEL_RESOURCE_ATTRIBUTES: 'deployment.environment.name=attic',
    OTEL_BSP_SCHEDULE_DELAY: '50',
  };
  const up = await playground.up(env);
  const name = `by-${protocol.replace('/', '-')}`;
  const joined = await playground.start(['federation', 'join', '--swarm', name], env).ended;
  expect(joined).toMatchObject({ code: 0 });
  // Names are the same text in JSON and in protobuf.
  const all = () => Buffer.concat(collector.received).toString('latin1');
  const wanted = [
    ...['hivebus-cli', 'hivebus federation join', 'hivebus.registry.v1.RegistryService/RegisterSwarm'],
    ...['append hive.main.journal.registry', 'publish hive.main.registry.swarm.registered', 'attic'],
  ];
  await until(() => wanted.every((text) => all().includes(text)), 60_000);
  if (protocol === 'http/json')
    expect(treeOf(collector.received)).toContain('hivebus federation join > call > served > append');
  up.child.kill('SIGTERM');
  await up.ended;
});

interface OtlpSpan {
  readonly name: string;
  readonly kind: number;
  readonly spanId: string;
  readonly parentSpanId?: string;
}

/** The ways through all traces. */
function treeOf(received: readonly Buffer[]): string[] {
  const spans: OtlpSpan[] = received.flatMap((body) =>
    JSON.parse(body.toString()).resourceSpans.flatMap((resource: { scopeSpans: { spans: OtlpSpan[] }[] }) =>
      resource.scopeSpans.flatMap((scope) => scope.spans),
    ),
  );
  const word = ({ name, kind }: OtlpSpan) => {
    if (name.includes('/')) return kind === 3 ? 'call' : 'served';
    return name.startsWith('append') ? 'append' : name;
  };
  const way = (span: OtlpSpan): string => {
    const parent = spans.find(({ spanId }) => spanId === span.parentSpanId);
    return parent ? `${way(parent)} > ${word(span)}` : word(span);
  };
  return spans.map(way);
}
