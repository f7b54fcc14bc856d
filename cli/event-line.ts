import type { Msg } from '@nats-io/nats-core';
import { colors } from './output.ts';
import { printable } from './printable.ts';
import { plainStates } from './values.ts';

/** A message of the bus as the `events` command shows it. */
export interface BusEvent {
  readonly subject: string;
  readonly time: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Parsed when it is JSON, else the text. */
  readonly data: unknown;
}

export interface EventFilter {
  readonly all?: boolean;
  readonly service?: string;
  readonly swarm?: string;
  readonly task?: string;
}

/** Third tokens of subjects that are traffic rather than events. */
const TRAFFIC = new Set(['rpc', 'heartbeat', 'journal', 'task', 'discovery', 'state']);
/** Tokens are for servers to see, not for a screen. */
const HIDDEN = 'authorization';

export function toEvent(message: Msg): BusEvent {
  const headers: Record<string, string> = {};
  for (const key of message.headers?.keys() ?? []) {
    headers[key] = key.toLowerCase() === HIDDEN ? '(hidden)' : (message.headers?.get(key) ?? '');
  }
  return {
    subject: message.subject,
    time: headers['ce-time'] ?? new Date().toISOString(),
    headers,
    data: parse(message.string()),
  };
}

export function isShown(event: BusEvent, filter: EventFilter): boolean {
  const [, , service = ''] = event.subject.split('.');
  if (!filter.all && TRAFFIC.has(service)) return false;
  if (filter.service !== undefined && service !== filter.service) return false;
  return [filter.swarm, filter.task].every((name) => name === undefined || concerns(event, name));
}

/** `12:03:04.567 pool.task.started.code.t-1  task=t-1 attempt=1`, cut at `width` characters. */
export function eventLine(told: BusEvent, width = Number.POSITIVE_INFINITY): string {
  const event = printable(told);
  const [, , ...tokens] = event.subject.split('.');
  const parts: Part[] = [
    { text: event.time.slice(11, 23), paint: colors.dim },
    { text: ' ' },
    { text: tokens.join('.'), paint: colors.cyan },
    { text: '  ' },
    ...summary(event.data),
  ];
  return drawn(parts, width);
}

interface Part {
  readonly text: string;
  readonly paint?: (text: string) => string;
}

/** Parts one behind the other; where they end too late the last one that has room is cut with …. */
function drawn(parts: readonly Part[], width: number): string {
  const isWhole = parts.reduce((sum, { text }) => sum + text.length, 0) <= width;
  let room = isWhole ? width : width - 1;
  let line = '';
  for (const { text, paint = (plain: string) => plain } of parts) {
    if (room <= 0) break;
    line += paint(text.slice(0, room));
    room -= text.length;
  }
  return isWhole ? line : `${line}…`;
}

/** A name is meant when it is a token of the subject, a value of the event, or a swarm in `swarm/agent`. */
function concerns(event: BusEvent, name: string): boolean {
  return event.subject.split('.').includes(name) || mentions(event.data, name);
}

function mentions(value: unknown, name: string): boolean {
  if (typeof value === 'string') return value === name || value.startsWith(`${name}/`);
  return typeof value === 'object' && value !== null && Object.values(value).some((part) => mentions(part, name));
}

const MAX_VALUE = 60;
/** For machines; `-o json` shows them. */
const NOISE = new Set([
  'ownerKey',
  'traceparent',
  'publicKey',
  'specDigest',
  'correlationId',
  'registration',
  'choice',
]);

/** `name=value` for what is not empty; one level of nesting is looked into. */
function summary(data: unknown): Part[] {
  if (typeof data !== 'object' || data === null) return [{ text: short(data) }];
  return Object.entries(data)
    .filter(([key]) => !NOISE.has(key))
    .flatMap(([key, value]) => (isRecord(value) ? Object.entries(value) : [[key, value] as const]))
    .filter(([key, value]) => !NOISE.has(key) && !isEmpty(value))
    .flatMap(([key, value], i) => [
      { text: i === 0 ? '' : ' ' },
      { text: `${key}=`, paint: colors.dim },
      { text: short(value) },
    ]);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isEmpty = (value: unknown): boolean =>
  [undefined, null, '', 0, '0', false].includes(value as string) ||
  (typeof value === 'string' && value.endsWith('_UNSPECIFIED')) ||
  (Array.isArray(value) && value.length === 0) ||
  (isRecord(value) && Object.keys(value).length === 0);

function short(value: unknown): string {
  const text = plainStates(typeof value === 'string' ? value : (JSON.stringify(value) ?? ''));
  return text.length > MAX_VALUE ? `${text.slice(0, MAX_VALUE - 1)}…` : text;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
