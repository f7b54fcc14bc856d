import { Checks } from '../../libs/kernel/checks.ts';
import { LIMITS } from '../../libs/telemetry/wire-span.ts';
import type { GetTraceRequest, Span } from '../../libs/wire/hivebus/telemetry/v1/telemetry.ts';

/** The rules that the proto file states. Spans are checked in bulk, so faults beyond the first bad one are not looked for. */

const MAX_SPANS = 512;
const TRACE_ID = /^(?!0{32})[0-9a-f]{32}$/;
const PAGE_TOKEN = /^\d{16}-[0-9a-f]{16}$/;
const SPAN_ID = /^(?!0{16})[0-9a-f]{16}$/;

export function checkSpans(spans: readonly Span[]): void {
  const checks = new Checks();
  checks.rule(spans.length <= MAX_SPANS, 'spans', spans.length, `must have at most ${MAX_SPANS} entries`);
  checks.done();
  spans.forEach(checkSpan);
}

function checkSpan(span: Span, i: number): void {
  const checks = new Checks(`spans[${i}].`);
  checkIds(checks, span);
  if (span.parentSpanId !== '')
    checks.rule(SPAN_ID.test(span.parentSpanId), 'parentSpanId', span.parentSpanId, ID_RULE);
  checks.text('name', span.name, LIMITS.name);
  checks.text('service', span.service, LIMITS.label);
  checks.text('instance', span.instance, LIMITS.label);
  checks.text('message', span.message, LIMITS.value);
  for (const field of ['startUs', 'durationUs'] as const) {
    checks.rule(Number.isSafeInteger(Number(span[field])), field, span[field], 'must be below 2^53');
  }
  const attributes = Object.entries(span.attributes);
  atMost(checks, 'attributes', attributes.length, LIMITS.attributes);
  for (const [name, value] of attributes) {
    checks.text('attributes', name, LIMITS.label);
    checks.text(`attributes[${JSON.stringify(name)}]`, value, LIMITS.value);
  }
  atMost(checks, 'links', span.links.length, LIMITS.links);
  for (const link of span.links) checkIds(checks, link);
  atMost(checks, 'events', span.events.length, LIMITS.events);
  for (const { name } of span.events) checks.text('events', name, LIMITS.name);
  checks.done();
}

const atMost = (checks: Checks, field: string, count: number, most: number): void =>
  checks.rule(count <= most, field, count, `must have at most ${most} entries`);

const ID_RULE = 'must be lower-case hexadecimal digits, not all 0';

function checkIds(checks: Checks, { traceId, spanId }: { traceId: string; spanId: string }): void {
  checks.rule(TRACE_ID.test(traceId), 'traceId', traceId, `${ID_RULE}: 32 of them`);
  checks.rule(SPAN_ID.test(spanId), 'spanId', spanId, `${ID_RULE}: 16 of them`);
}

export function checkQuestion({ traceId, correlationId, last, pageToken }: GetTraceRequest): void {
  const checks = new Checks();
  const given = [traceId !== '', correlationId !== '', last].filter(Boolean).length;
  checks.rule(given === 1, 'traceId', traceId, 'give exactly one of traceId, correlationId and last');
  if (traceId !== '') checks.rule(TRACE_ID.test(traceId), 'traceId', traceId, `${ID_RULE}: 32 of them`);
  checks.text('correlationId', correlationId, 128);
  if (pageToken !== '') {
    checks.rule(PAGE_TOKEN.test(pageToken), 'pageToken', pageToken, 'must be the nextPageToken of an answer');
    checks.rule(
      traceId !== '',
      'pageToken',
      pageToken,
      'goes with traceId: the newest trace may be another one by now',
    );
  }
  checks.done();
}

export function checkListing({ limit }: { limit: number }): void {
  const checks = new Checks();
  checks.range('limit', limit, 0, 200);
  checks.done();
}
