import { readFileSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createGrpcClient } from '../../libs/rpc/grpc-client.ts';
import { activeTraceparent } from '../../libs/rpc/observe.ts';
import { withTrace } from '../../libs/sdk/trace-context.ts';
import { followTraces } from '../../libs/telemetry/observe.ts';
import { withSpan } from '../../libs/telemetry/span.ts';
import { SpanBatches } from '../../libs/telemetry/span-batches.ts';
import { traceIdOf } from '../../libs/telemetry/traceparent.ts';
import { startTracer } from '../../libs/telemetry/tracer.ts';
import { until } from '../../libs/testkit/until.ts';
import { ResourcePoolServiceService } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { Span } from '../../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { pathsIn, pathsOf, pidOf, TracedFederation } from './traced.ts';

/** What a task's submission brings about, with an agent that is free and runs a command. */
const TASK = (root: string, client: string, runner = 'agent') => `
${root}
  call pool.SubmitTask @${client}
    pool.SubmitTask @resource-pool
      append hive.main.journal.pool @resource-pool
        publish hive.main.pool.task.submitted @resource-pool
        publish hive.main.pool.task.assigned @resource-pool
      deliver _HIVE.main.agent.code.worker @resource-pool
        run work @${runner}
          call pool.ConfirmAssignment @${runner}
            pool.ConfirmAssignment @resource-pool
              append hive.main.journal.pool @resource-pool
                publish hive.main.pool.task.started @resource-pool
          exec sh @${runner}
          call pool.ReportTask @${runner}
            pool.ReportTask @resource-pool
              append hive.main.journal.pool @resource-pool
                publish hive.main.pool.task.ended @resource-pool`;

const isOver = (spans: readonly Span[]) =>
  spans.some(({ name }) => name === 'publish hive.main.pool.task.ended') &&
  spans.some(({ name, open }) => name.startsWith('run ') && !open);

let traced: TracedFederation;
const batches = new SpanBatches({ instance: `test:${process.pid}`, everyMs: 20 });

beforeAll(async () => {
  traced = await TracedFederation.start(1);
  await startTracer({ service: 'test', instance: 'test:1', traces: 'always', processors: [batches] });
  batches.sendBy(traced.federation.hive.sendSpans);
});
afterAll(() => traced?.[Symbol.asyncDispose]());

/** Ways, no matter whether two commands of one trace shared an append, which is a matter of time. */
const appended = (spans: readonly Span[]): string[] =>
  [...new Set(pathsOf(spans).map((path) => path.replaceAll('join append', 'append')))].sort();

const named = (spans: readonly Span[], name: string) => spans.filter((span) => span.name === name);

test('one trace from the command through the bus to the agent, its process, and back', async () => {
  const out = traced.file('env.txt');
  const script = `printf '%s %s' "$TRACEPARENT" "$HIVEBUS_CORRELATION_ID" > ${out}; echo 42`;
  const agent = await traced.federation.ready(['--type', 'work', '--name', 'worker', '--exec', script]);
  const submitted = await traced.run(['task', 'submit', '--swarm', 'code', '--type', 'work', '--wait']);
  expect(submitted).toMatchObject({ code: 0 });
  const spans = await traced.spansWhen({ last: true }, isOver);
  // What `--wait` asks meanwhile depends on how fast the task is.
  const ofTask = appended(spans).filter((path) => !/pool\.(GetTask|WatchTasks)/.test(path));
  expect(ofTask).toEqual(pathsIn(TASK('hivebus task submit @cli', 'cli')));

  const [exec] = named(spans, 'exec sh');
  const [root] = named(spans, 'hivebus task submit');
  const correlationId = root?.attributes['hivebus.correlation_id'] ?? '';
  expect(readFileSync(out, 'utf8')).toBe(`00-${exec?.traceId}-${exec?.spanId}-01 ${correlationId}`);
  expect(correlationId).not.toBe('');
  for (const { name, attributes } of spans) {
    expect({ name, id: attributes['hivebus.correlation_id'] }).toEqual({ name, id: correlationId });
  }
  // A delivery that a slow machine answers too late is sent again.
  expect(spans.filter(({ failed, name }) => failed && !name.startsWith('deliver'))).toEqual([]);
  expect((await traced.spans({ correlationId }))[0]?.traceId).toBe(root?.traceId);
  const subjects = new Set(spans.map(({ attributes }) => attributes['messaging.destination.name']));
  const task = named(spans, 'run work')[0]?.attributes['hivebus.task.id'] ?? '';
  expect([...subjects]).toEqual(
    expect.arrayContaining([
      'hive.main.rpc.pool.SubmitTask',
      'hive.main.journal.pool',
      `hive.main.pool.task.ended.code.${task}`,
      expect.stringMatching(/^_HIVE\.main\.agent\.code\.worker\../),
    ]),
  );
  const shown = await traced.run(['trace', task], { COLUMNS: '80' });
  expect(shown.stdout).toContain(root?.traceId);
  expect(Math.max(...shown.stdout.split('\n').map((line) => line.length))).toBeLessThanOrEqual(80);
  agent.child.kill('SIGTERM');
  await agent.ended;
});

test('the same over gRPC, from a program that traces by itself', async () => {
  const port = await until(() => /"grpcPort":(\d+)/.exec(traced.federation.running('pool')[0]?.said() ?? '')?.[1]);
  const agent = await traced.federation.ready(['--type', 'work', '--name', 'worker', '--exec', 'echo 1']);
  await using client = createGrpcClient(`127.0.0.1:${port}`, ResourcePoolServiceService, {
    token: await traced.token(),
    observe: followTraces,
  });
  const trace = { traceparent: '', correlationId: 'over-grpc', hops: -1 };
  const traceId = await withSpan('test', { attributes: { 'hivebus.correlation_id': 'over-grpc' } }, async () => {
    await client.submitTask({ spec: { ...SPEC, type: 'work' } }, { trace });
    return traceIdOf(activeTraceparent());
  });
  const spans = await traced.spansWhen({ traceId }, (found) => isOver(found) && named(found, 'test').length === 1);
  expect(appended(spans)).toEqual(pathsIn(TASK('test @test', 'test')));
  const rpc = spans.filter(({ name }) => name === 'hivebus.pool.v1.ResourcePoolService/SubmitTask');
  for (const { attributes } of rpc) {
    expect(attributes).toMatchObject({
      'rpc.system.name': 'grpc',
      'rpc.method': 'hivebus.pool.v1.ResourcePoolService/SubmitTask',
      'rpc.status_code': 'OK',
      'hivebus.correlation_id': 'over-grpc',
    });
  }
  agent.child.kill('SIGTERM');
  await agent.ended;
});

test('a command that fails says so in every span that it went through, also in a second service', async () => {
  const { code } = await traced.run(['task', 'submit', '--swarm', 'ghost', '--type', 'work']);
  expect(code).toBe(4);
  const ways = pathsIn(`
    hivebus task submit @cli
      call pool.SubmitTask @cli
        pool.SubmitTask @resource-pool
          call registry.GetSwarm @resource-pool
            registry.GetSwarm @registry`);
  const failedOf = (found: readonly Span[]) => found.filter((span) => span.failed);
  const isWhole = (found: readonly Span[]) => pathsOf(failedOf(found)).length === ways.length;
  const failed = failedOf(await traced.spansWhen({ last: true }, isWhole));
  expect(pathsOf(failed)).toEqual(ways);
  expect(new Set(failed.map(({ attributes }) => attributes['error.type']))).toEqual(new Set(['NOT_FOUND']));
  expect(named(failed, 'hivebus task submit')[0]?.message).toContain('ghost');
});

test('an agent that is killed leaves its attempt open, and the next one is in the same trace', async () => {
  const first = await traced.federation.ready(['--type', 'slow', '--name', 'first', '--exec', 'sleep 600']);
  const submitted = await traced.run(['task', 'submit', '--swarm', 'code', '--type', 'slow', '--id', 'twice']);
  expect(submitted).toMatchObject({ code: 0 });
  const isRunning = (found: readonly Span[]) => named(found, 'exec sh').some(({ open }) => open);
  const traceId = (await traced.spansWhen({ last: true }, isRunning))[0]?.traceId ?? '';
  first.child.kill('SIGKILL');
  await first.ended;
  const second = await traced.federation.ready(['--type', 'slow', '--name', 'second', '--exec', 'echo 2']);
  const spans = await traced.spansWhen({ traceId }, isOver);
  const attempts = named(spans, 'run slow').map(({ attributes, open }) => [
    attributes['hivebus.task.attempt'],
    attributes['hivebus.agent'],
    open,
  ]);
  expect(attempts.sort()).toEqual([
    ['1', 'code/first', true],
    ['2', 'code/second', false],
  ]);
  const begin = 'hivebus task submit @cli > call pool.SubmitTask @cli > pool.SubmitTask @resource-pool > ';
  const ways = pathsOf(spans).filter((path) => path.includes('@agent'));
  expect(ways).toEqual(
    expect.arrayContaining([
      `${begin}deliver _HIVE.main.agent.code.first @resource-pool > run slow @agent > exec sh @agent`,
      `${begin}deliver _HIVE.main.agent.code.second @resource-pool > run slow @agent > exec sh @agent`,
    ]),
  );
  expect(ways.every((path) => path.startsWith(begin))).toBe(true);
  second.child.kill('SIGTERM');
  await second.ended;
});

test('commands of many traces that share an append are linked with it', async () => {
  const { hive } = traced.federation;
  const ids = await Promise.all(
    Array.from({ length: 24 }, (_, i) =>
      withSpan(`test ${i}`, {}, async () => {
        const trace = { traceparent: '', correlationId: `shared-${i}`, hops: -1 };
        await withTrace(trace, () => hive.pool.submitTask({ id: `shared-${i}`, spec: { ...SPEC, type: 'nobody' } }));
        return traceIdOf(activeTraceparent());
      }),
    ),
  );
  const submitted = (i: number, append: string): string =>
    pathsIn(`
      test ${i} @test
        call pool.SubmitTask @test
          pool.SubmitTask @resource-pool
            ${append} hive.main.journal.pool @resource-pool
              publish hive.main.pool.task.submitted @resource-pool`).at(-1) as string;
  // On a slow machine a call is made again, and that one's answer is in another append: there may be more ways.
  const isWhole = (found: readonly Span[], i: number) =>
    ['append', 'join append'].some((append) => pathsOf(found).includes(submitted(i, append)));
  const traces = await Promise.all(
    ids.map((traceId, i) => traced.spansWhen({ traceId }, (found) => isWhole(found, i))),
  );
  const joined = named(traces.flat(), 'join append hive.main.journal.pool');
  expect(joined.length).toBeGreaterThan(0);
  // What was there when the last of them was whole: an append comes before those that join it.
  const all = (await Promise.all(ids.map((traceId) => traced.spans({ traceId })))).flat();
  for (const { traceId, parentSpanId, links } of joined) {
    expect(links).toHaveLength(1);
    const append = all.find((span) => span.traceId === links[0]?.traceId && span.spanId === links[0].spanId);
    expect(append?.name).toBe('append hive.main.journal.pool');
    expect(append?.links).toContainEqual({ traceId, spanId: parentSpanId });
  }
});

test('when the leader of the pool is killed, the trace goes on at the next', async () => {
  const { federation } = traced;
  federation.service('pool');
  const gate = traced.file('gate');
  const script = `until [ -e ${gate} ]; do sleep 0.05; done; echo 3`;
  const agent = await federation.ready(['--type', 'gated', '--name', 'patient', '--exec', script]);
  await until(() => federation.running('pool').every((each) => / is serving/.test(each.said())), 60_000);
  await traced.run(['task', 'submit', '--swarm', 'code', '--type', 'gated', '--id', 'taken-over']);
  const isRunning = (found: readonly Span[]) =>
    named(found, 'exec sh').some(({ open }) => open) && named(found, 'append hive.main.journal.pool').length > 1;
  const begun = await traced.spansWhen({ last: true }, isRunning);
  const traceId = begun[0]?.traceId ?? '';
  const leader = pidOf(named(begun, 'append hive.main.journal.pool').at(-1) as Span);
  const before = federation.running('pool').find(({ child }) => child.pid === leader);
  before?.child.kill('SIGKILL');
  await before?.ended;
  writeFileSync(gate, '');
  const spans = await traced.spansWhen({ traceId }, isOver);
  const report = spans.find(({ name, kind }) => name.endsWith('/ReportTask') && kind === 'SPAN_KIND_CLIENT');
  const below = (span: Span | undefined): Span[] => {
    const parts = spans.filter(({ parentSpanId }) => parentSpanId === span?.spanId);
    return [...parts, ...parts.flatMap(below)];
  };
  const appends = (some: readonly Span[]) => new Set(named(some, 'append hive.main.journal.pool').map(pidOf));
  const [after] = federation.running('pool');
  expect([...appends(below(report))]).toEqual([after?.child.pid]);
  expect(appends(spans)).toContain(leader);
  expect(leader).not.toBe(after?.child.pid);
  expect(
    pathsOf(spans)
      .filter((path) => path.includes('ReportTask'))
      .every((path) => path.includes(' > run gated @agent > ')),
  ).toBe(true);
  agent.child.kill('SIGTERM');
  await agent.ended;
});

const SPEC = {
  ...{ swarm: 'code', capabilities: [], script: '', timeoutMs: 0, maxAttempts: 0, priority: 0, labels: {}, title: '' },
};
