import { Checks } from '../../../libs/kernel/checks.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';

/** What checks of several nouns are made of. */

const MAX_PAGE = 1000;
export const DAY_MS = 86_400_000;
export const MAX_WAIT_MS = 3_600_000;
const MAX_LABELS = 32;
export const MAX_AGENT_LABEL = 63;
export const MAX_COST = 1_000_000;
export const MAX_PAYLOAD_BYTES = 256 * 1024;

export function checkId(field: string, id: string): void {
  const checks = new Checks();
  checks.name(field, id);
  checks.done();
}

export function checkSwarm({ swarm }: rpc.GetSwarmLimitsRequest | rpc.GetLendingPolicyRequest): void {
  const checks = new Checks();
  checks.name('swarm', swarm);
  checks.done();
}

export function selector(checks: Checks, at: string, given: rpc.AgentSelector): void {
  labels(checks, `${at}.labels`, given.labels, MAX_AGENT_LABEL);
  checks.names(`${at}.specialisations`, given.specialisations);
  checks.nameOrEmpty(`${at}.region`, given.region);
}

export function labels(checks: Checks, field: string, given: Readonly<Record<string, string>>, maxLength = 256): void {
  const keys = Object.keys(given);
  checks.rule(keys.length <= MAX_LABELS, field, keys.length, `must have at most ${MAX_LABELS} entries`);
  for (const key of keys) {
    checks.name(`${field} key`, key);
    checks.text(`${field}.${key}`, given[key] ?? '', maxLength);
  }
}

export const stated = (checks: Checks, states: readonly string[], unspecified: string): void =>
  checks.rule(!states.includes(unspecified), 'states', states, 'must name what is wanted; leave it empty for any');

export function page(checks: Checks, size: number, token: string, form: RegExp): void {
  checks.range('pageSize', size, 0, MAX_PAGE);
  checks.rule(token === '' || form.test(token), 'pageToken', token, 'must be the nextPageToken of the page before');
}

export const checkVersion = (checks: Checks, version: string): void =>
  checks.rule(Number.isSafeInteger(Number(version)), 'expectedVersion', version, 'must be a version, or 0');

/** The value itself is not shown: it is as large as the fault says. */
export function bounded(checks: Checks, field: string, bytes: number, max: number): void {
  if (bytes > max) checks.rule(false, field, bytes, `is its size in bytes and must be at most ${max}`);
}

export const jsonBytes = (value: unknown): number =>
  value === undefined ? 0 : Buffer.byteLength(JSON.stringify(value));

/** A revision as a number. Throws INVALID_ARGUMENT for one that no journal reaches. */
export function revisionOf(field: string, value: string): number {
  const revision = Number(value);
  const checks = new Checks();
  checks.rule(Number.isSafeInteger(revision), field, value, 'must be a revision that was answered, or 0');
  checks.done();
  return revision;
}
