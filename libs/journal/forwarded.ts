import { HiveError, quote } from '../kernel/errors.ts';
import type { Principal } from '../protocol/principal.ts';
import type { Forwarded } from './ports.ts';

/**
 * The leader's subject can be reached by whoever reaches the bus. So what comes by it is read as strictly as what comes
 * from clients: nothing of it is written into a record or a header that was not looked at.
 */

type Rule = (value: unknown) => boolean;

const matches =
  (pattern: RegExp): Rule =>
  (value) =>
    typeof value === 'string' && pattern.test(value);
const wholeNumber =
  (least: number, most: number): Rule =>
  (value) =>
    Number.isSafeInteger(value) && (value as number) >= least && (value as number) <= most;

const RULES: Readonly<Record<string, Rule>> = {
  kind: matches(/^(command|query)$/),
  name: matches(/^[a-zA-Z]{1,64}$/),
  input: (value) => typeof value === 'object' && value !== null && !Array.isArray(value),
  token: matches(/^[\x21-\x7e]{0,8192}$/),
  'trace.traceparent': matches(/^(00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2})?$/),
  'trace.correlationId': matches(/^[\x21-\x7e]{0,256}$/),
  'trace.hops': wholeNumber(0, 1000),
  'request.client': matches(/^[a-z0-9][-a-z0-9]{0,62}(@[-\w]{1,64})?$/),
  'request.counter': wholeNumber(1, Number.MAX_SAFE_INTEGER),
};

/** Reads what another replica forwards; throws INVALID_ARGUMENT with the first fault. */
export function readForwarded(value: unknown): Forwarded {
  const said = (value ?? {}) as Forwarded;
  for (const [field, rule] of Object.entries(RULES)) {
    if (field.startsWith('request.') && said.request === undefined) continue;
    const found = field
      .split('.')
      .reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], said);
    if (rule(found)) continue;
    throw new HiveError('INVALID_ARGUMENT', `forwarded ${field}: ${quote(found)} is not what replicas send`, {
      violations: [{ field, value: quote(found), rule: 'must be as replicas send it' }],
    });
  }
  return said;
}

/** A request id is its caller's own: what it is kept under has the caller's key, and nobody has another's. */
export function checkRequestOwner({ request }: Forwarded, principal: Principal): void {
  const owner = request?.client.split('@')[1];
  if (owner === undefined || ('key' in principal && principal.key === owner)) return;
  throw new HiveError('PERMISSION_DENIED', `the request id ${quote(request?.client)} is another's`);
}
