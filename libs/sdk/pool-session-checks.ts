import { HiveError, invalid, quote, type Violation } from '../kernel/errors.ts';
import { requestSchema } from '../rpc/schema.ts';
import { timeFaults } from '../rpc/times.ts';
import { type SessionAnswer, SessionCall } from '../wire/hivebus/pool/v1/session.ts';

/** What is wrong with a session's options and calls is told before anything is sent: one faulty call must not end the others'. */

/** The calls of a session and their answers, e.g. `requestAgent`. */
export type CallKind = Exclude<keyof SessionAnswer & keyof SessionCall, 'number'>;

/** Of calls in one message; gRPC carries 4 MiB. */
export const MAX_BYTES = 3 << 20;
const MAX_WINDOW = 512;
const CALL = requestSchema('hivebus.pool.v1.SessionCall');

/** Throws INVALID_ARGUMENT with all faults. */
export function checkOptions(window: number, addresses: readonly string[], openingMs: number): void {
  const faults = [
    ...(isWindow(window) ? [] : [windowFault(window)]),
    ...addressFaults(addresses),
    ...timeFaults('openingMs', openingMs, 1),
  ];
  if (faults.length > 0) throw invalid(faults);
}

const isWindow = (window: number): boolean => Number.isInteger(window) && window >= 1 && window <= MAX_WINDOW;

const windowFault = (window: unknown): Violation => ({
  ...{ field: 'window', value: quote(String(window)), rule: `must be a whole number from 1 to ${MAX_WINDOW}` },
});

const ADDRESS = /^(?!https?:)[^\s]+:(\d{1,5})$/;

function addressFaults(addresses: readonly string[]): Violation[] {
  const rule = 'must be host:port, of a pool that serves gRPC there';
  if (addresses.length === 0) return [{ field: 'addresses', value: '[]', rule: 'must have one at least' }];
  const isOne = (address: string) => {
    const port = Number(ADDRESS.exec(address)?.[1] ?? 0);
    return port > 0 && port < 65536;
  };
  return addresses.flatMap((address, i) =>
    isOne(address) ? [] : [{ field: `addresses[${i}]`, value: quote(address), rule }],
  );
}

/** A call as it goes on the wire. Throws what is wrong with it. */
export function checkedCall(number: number, kind: CallKind, request: unknown): { call: SessionCall; bytes: number } {
  const call = CALL.check({ number: String(number), traceparent: '', [kind]: request }) as SessionCall;
  if (call[kind] === undefined)
    throw invalid([{ field: kind, value: quote(String(request)), rule: 'must be an object' }]);
  const bytes = bytesOf(kind, call);
  if (bytes <= MAX_BYTES) return { call, bytes };
  throw new HiveError('RESOURCE_EXHAUSTED', `${kind} has ${bytes} bytes; a session carries ${MAX_BYTES} at once`, {
    reason: 'TOO_LARGE',
  });
}

/** What is surely smaller is not measured, which takes as long as sending it. */
const SMALL_BYTES = 4096;

function bytesOf(kind: CallKind, call: SessionCall): number {
  try {
    const atMost = mostBytes(call[kind]);
    return atMost <= SMALL_BYTES ? atMost : SessionCall.encode(call).finish().length;
  } catch (cause) {
    throw new HiveError('INVALID_ARGUMENT', `${kind} cannot be sent: ${(cause as Error).message}`, { cause });
  }
}

/** Of a field or a member with its tags and lengths, without its text. */
const FIELD_BYTES = 24;

/** At least as many bytes as the value takes on the wire; gives up where that is not small. Throws for what has no form there. */
function mostBytes(value: unknown): number {
  if (typeof value === 'string') return FIELD_BYTES + 3 * value.length;
  if (typeof value === 'bigint') throw new TypeError(`${value}n is no JSON`);
  if (typeof value !== 'object' || value === null) return FIELD_BYTES;
  if (ArrayBuffer.isView(value)) return FIELD_BYTES + value.byteLength;
  let bytes = FIELD_BYTES;
  for (const name in value) {
    bytes += 3 * name.length + mostBytes((value as Record<string, unknown>)[name]);
    if (bytes > SMALL_BYTES) break;
  }
  return bytes;
}
