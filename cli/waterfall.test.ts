import { expect, test } from 'vitest';
import type { Span } from '../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { allRows } from './trace-fold.ts';
import { treesOf } from './trace-tree.ts';
import { waterfall } from './waterfall.ts';

const BEGAN_US = Date.parse('2026-11-21T12:00:00.000Z') * 1000;

/** A span by short ids, from `fromMs` on for `tookMs`. */
function span(id: string, parent: string, fromMs: number, tookMs: number, more: Partial<Span> = {}): Span {
  const idOf = (text: string) => (text === '' ? '' : text.padEnd(16, '0'));
  return {
    traceId: 'a'.repeat(32),
    spanId: idOf(id),
    parentSpanId: idOf(parent),
    name: id,
    kind: 'SPAN_KIND_INTERNAL',
    service: 'hivebus-cli',
    instance: 'vm:1',
    startUs: String(BEGAN_US + fromMs * 1000),
    durationUs: String(tookMs * 1000),
    attributes: { 'hivebus.correlation_id': 'job-1' },
    links: [],
    events: [],
    failed: false,
    message: '',
    sender: '',
    open: false,
    ...more,
  };
}

const RPC = 'hivebus.pool.v1.ResourcePoolService/SubmitTask';
const on = (subject: string, more = {}) => ({
  attributes: { 'hivebus.correlation_id': 'job-1', 'messaging.destination.name': subject, ...more },
});
const SUBMIT = on('hive.main.rpc.pool.SubmitTask');
const JOURNAL = 'hive.main.journal.pool';

const TRACE = [
  span('a', '', 0, 100, { name: 'hivebus task submit', failed: true, message: 'exit code 1' }),
  span('b', 'a', 10, 40, {
    name: RPC,
    kind: 'SPAN_KIND_CLIENT',
    ...SUBMIT,
    events: [{ name: 'sent again', afterUs: '5000' }],
  }),
  span('c', 'b', 15, 30, { name: RPC, kind: 'SPAN_KIND_SERVER', service: 'hivebus-resource-pool', ...SUBMIT }),
  span('d', 'c', 20, 10, {
    name: `append ${JOURNAL}`,
    service: 'hivebus-resource-pool',
    ...on(JOURNAL, { 'hivebus.service': 'pool' }),
    links: ['b', 'c', 'd'].map((each) => ({ traceId: each.repeat(32), spanId: '1'.repeat(16) })),
  }),
  span('e', 'a', 60, 20, { name: 'run slow', kind: 'SPAN_KIND_CONSUMER', service: 'hivebus-agent', open: true }),
  span('f', 'x', 70, 0.3, { name: 'lost', service: 'hivebus-agent', instance: 'vm:2' }),
];

test('fits a narrow terminal', () => {
  expect(waterfall({ spans: TRACE, missing: 3 }, { width: 80 })).toMatchInlineSnapshot(`
    "trace        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    correlation  job-1
    began        2026-11-21T12:00:00.000Z
    took         100ms, 6 spans, 5 services, 1 error

    NAME                                 SERVICE           TOOK  0             100ms
    hivebus task submit                  cli              100ms  ━━━━━━━━━━━━━━━━━━━
      ✗ exit code 1
    ├ call pool.SubmitTask               cli               40ms   ━━━━━━━━
    │   · sent again, after 5.0ms
    │ └ pool.SubmitTask                  resource-pool     30ms    ━━━━━━
    │   └ append hive.main.journal.pool  pool              10ms     ━━
    │       ⇄ with trace bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, trace cccccccccccccccccc…
    └ run slow                           agent.1          20ms+             ━━━━╌╌╌╌
        … run slow had not ended when this was sent, or never did
    parts of what was never handed in, as of a killed process, or is no longer kept:
    ┄ lost                               agent.2          300µs               ━
    3 more spans are not shown, or are no longer kept"
  `);
});

test('uses a wide one, with subjects', () => {
  expect(waterfall({ spans: TRACE, missing: 0 }, { width: 160 })).toMatchInlineSnapshot(`
    "trace        aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    correlation  job-1
    began        2026-11-21T12:00:00.000Z
    took         100ms, 6 spans, 5 services, 1 error

    NAME                                 SERVICE           TOOK  0                                                              100ms  SUBJECT
    hivebus task submit                  cli              100ms  ━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━━
      ✗ exit code 1
    ├ call pool.SubmitTask               cli               40ms        ━━━━━━━━━━━━━━━━━━━━━━━━━━━                                     hive.main.rpc.pool.SubmitTask
    │   · sent again, after 5.0ms
    │ └ pool.SubmitTask                  resource-pool     30ms            ━━━━━━━━━━━━━━━━━━━━                                        hive.main.rpc.pool.SubmitTask
    │   └ append hive.main.journal.pool  pool              10ms               ━━━━━━━                                                  hive.main.journal.pool
    │       ⇄ with trace bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb, trace cccccccccccccccccccccccccccccccc and 1 more
    └ run slow                           agent.1          20ms+                                          ━━━━━━━━━━━━━━╌╌╌╌╌╌╌╌╌╌╌╌╌╌
        … run slow had not ended when this was sent, or never did
    parts of what was never handed in, as of a killed process, or is no longer kept:
    ┄ lost                               agent.2          300µs                                                 ━"
  `);
});

test('every line fits, whatever is in it', () => {
  const long = 'x'.repeat(300);
  const spans = Array.from({ length: 40 }, (_, i) =>
    span(`${i + 1}s`, i === 0 ? '' : `${i}s`, i, 50 - i, {
      name: long,
      service: long,
      message: long,
      failed: true,
      ...on(long),
    }),
  );
  for (const width of [60, 80, 120, 160]) {
    const lines = waterfall({ spans, missing: 1 }, { width }).split('\n');
    expect(lines.filter((line) => line.length > width)).toEqual([]);
  }
});

test('what would move the cursor, or turn letters round, is shown as a sign', () => {
  const spans = [
    span('a', '', 0, 1, { name: '\x1b[2Jgone\r\n', service: '\x07bell', failed: true, message: '\x9bx\u202egnp' }),
  ];
  // biome-ignore lint/suspicious/noControlCharactersInRegex: it is these that are looked for
  expect(waterfall({ spans, missing: 0 }, { width: 80 })).not.toMatch(/[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]/);
});

test('each span comes once, though parents are missing or go in circles', () => {
  const spans = [span('a', 'b', 0, 1), span('b', 'a', 1, 1), span('c', 'nobody', 2, 1), span('d', 'd', 3, 1)];
  const rows = allRows(treesOf(spans)).filter((row) => row.kind === 'span');
  expect(rows.map(({ span: { name } }) => name)).toEqual(['c', 'a', 'b', 'd']);
  expect(rows[0]?.isOrphan).toBe(true);
});
