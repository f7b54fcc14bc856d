import { Checks } from '../../../libs/kernel/checks.ts';
import type { LogLine } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import type { SessionCall, SessionOpen, SessionRequest } from '../../../libs/wire/hivebus/pool/v1/session.ts';
import { checkRegistration } from './agents.ts';

/** Messages of a session as a whole: what breaks these rules ends it. What is wrong with a call is that call's refusal. */

const MAX_CLIENT = 40;
const MAX_WINDOW = 512;
const MAX_LINES = 1024;

/** The requests of which a call has exactly one. */
export const CALLS = [
  ...(['confirmAssignment', 'reportTask', 'submitTask', 'requestAgent', 'renewLease', 'releaseLease'] as const),
  ...(['deregisterAgent', 'saveCheckpoint', 'getCheckpoint', 'putArtefactPart', 'addArtefact', 'getTask'] as const),
  ...(['submitGroup', 'getGroup', 'cancelMigration'] as const),
] as const;

export type CallKind = (typeof CALLS)[number];

export function checkOpening({ open }: SessionRequest): SessionOpen {
  const checks = new Checks();
  checks.rule(open !== undefined, 'open', open, 'must be there in the first message');
  if (open) {
    const { client, window, logSeed, agent } = open;
    checks.name('open.client', client);
    checks.text('open.client', client, MAX_CLIENT);
    checks.range('open.window', window, 0, MAX_WINDOW);
    const isSeed = logSeed === '' || /^[\w-]{43}$/.test(logSeed);
    // A secret: its value is nobody's business.
    checks.rule(isSeed, 'open.logSeed', '...', 'must be base64url of 32 bytes, or empty');
    checks.rule(logSeed === '' || agent !== undefined, 'open.logSeed', '...', 'must be empty without an agent');
  }
  checks.done();
  if (open?.agent) checkRegistration(open.agent);
  return open as SessionOpen;
}

/** A message of a session that has begun. */
export function checkMessage(request: SessionRequest, isOpened: boolean, hasAgent: boolean): void {
  const checks = new Checks();
  const { open, calls, lines, heartbeat } = request;
  checks.rule(!isOpened || open === undefined, 'open', '{...}', 'must not be there again; open another session');
  checks.rule(hasAgent || heartbeat === undefined, 'heartbeat', heartbeat, "must come in an agent's session only");
  checks.rule(hasAgent || lines.length === 0, 'lines', lines.length, "must come in an agent's session only");
  checks.rule(calls.length <= MAX_WINDOW, 'calls', calls.length, `must be at most ${MAX_WINDOW}`);
  checks.rule(lines.length <= MAX_LINES, 'lines', lines.length, `must be at most ${MAX_LINES}`);
  for (const [i, call] of calls.slice(0, MAX_WINDOW).entries())
    if (!isCall(call)) checkCall(checks, `calls[${i}]`, call);
  for (const [i, line] of lines.slice(0, MAX_LINES).entries()) checkLine(checks, `lines[${i}]`, line);
  checks.done();
}

/** Which request a checked call has. */
export const kindOf = (call: SessionCall): CallKind => CALLS.find((name) => call[name] !== undefined) as CallKind;

/** Without a number there is nothing to answer to. */
function hasNumber({ number }: SessionCall): boolean {
  const value = Number(number);
  return Number.isSafeInteger(value) && value >= 1;
}

function hasOneRequest(call: SessionCall): boolean {
  let count = 0;
  for (const name of CALLS) if (call[name] !== undefined) count++;
  return count === 1;
}

const isTrace = (text: string): boolean => text === '' || /^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$/.test(text);

/** Nothing is wrong with it: most calls are asked no more, since what a fault is told with costs more than to look for it. */
const isCall = (call: SessionCall): boolean => hasNumber(call) && hasOneRequest(call) && isTrace(call.traceparent);

function checkCall(checks: Checks, at: string, call: SessionCall): void {
  checks.rule(hasNumber(call), `${at}.number`, call.number, 'must be 1 or more');
  const given = CALLS.filter((name) => call[name] !== undefined);
  checks.rule(given.length === 1, at, given, `must have exactly one of ${CALLS.join(', ')}`);
  const rule = 'must be a W3C traceparent of version 00, or empty';
  checks.rule(isTrace(call.traceparent), `${at}.traceparent`, call.traceparent, rule);
}

function checkLine(checks: Checks, at: string, { task, attempt, number, stream }: LogLine): void {
  checks.name(`${at}.task`, task);
  checks.rule(attempt >= 1, `${at}.attempt`, attempt, 'must be at least 1');
  checks.rule(number >= 1, `${at}.number`, number, 'must be at least 1');
  checks.rule(stream !== 'LOG_STREAM_UNSPECIFIED', `${at}.stream`, stream, 'must say which stream it was');
}
