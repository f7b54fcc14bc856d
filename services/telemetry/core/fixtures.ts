import type { Span } from '../../../libs/wire/hivebus/telemetry/v1/telemetry.ts';

/** A span, for tests. */
export const spanWith = (span: Partial<Span>): Span => ({
  traceId: 'a'.repeat(32),
  spanId: '1'.repeat(16),
  parentSpanId: '',
  name: 'work',
  kind: 'SPAN_KIND_INTERNAL',
  service: 'test',
  instance: 'vm:1',
  startUs: '10',
  durationUs: '5',
  attributes: {},
  links: [],
  events: [],
  failed: false,
  message: '',
  sender: '',
  open: false,
  ...span,
});
