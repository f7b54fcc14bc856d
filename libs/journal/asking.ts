import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError, isForWantOfRoom } from '../kernel/errors.ts';
import type { Call } from '../protocol/call.ts';
import type { Shape } from '../protocol/machine.ts';
import type { Principal } from '../protocol/principal.ts';
import type { RequestIds } from '../protocol/request-ids.ts';
import { checkRequestOwner, readForwarded } from './forwarded.ts';
import type { Outcome } from './group.ts';
import { type Leader, leaderChanged, outcomeUnknown } from './leader.ts';
import type { Forwarded, ForwardReply, LeaderLine } from './ports.ts';

export interface AskingDeps<M extends Shape> {
  readonly line: LeaderLine;
  readonly clock: Clock;
  /** For commands that were given none. */
  readonly requestIds: RequestIds;
  /** How long to look for a leader, in ms. */
  readonly forwardMs: number;
  /** This replica's leader while it leads. */
  leader(): Leader<M> | undefined;
  /** Resolves when this replica leads; rejects when `signal` aborts. */
  leads(signal: AbortSignal): Promise<void>;
  /** Resolves at the next change of role or revision, or when `signal` aborts. */
  change(signal: AbortSignal): Promise<void>;
  /** Throws when asking is of no use: the journal has stopped for good. */
  check(): void;
  /** What keeps this replica from leading though nobody else does. */
  obstacle(): HiveError | undefined;
}

/** A command or a linearizable read that wants to be in somebody's next group. */
export interface Asked {
  readonly kind: Forwarded['kind'];
  readonly name: string;
  readonly input: unknown;
  readonly call: Call;
}

/** Why something comes back without having been done: whoever leads next may be asked. */
const ASK_AGAIN = new Set(['LEADER_CHANGED', 'NOBODY_LEADS']);
/** Why it is not known whether something was done: what may be repeated is asked again. */
const OUTCOME_OPEN = new Set(['NO_ANSWER', 'OUTCOME_UNKNOWN']);
const mayAskAgain = (error: HiveError): boolean => ASK_AGAIN.has(error.reason ?? '');

const mayRepeat = ({ call, kind }: Asked): boolean =>
  call.request !== undefined || call.isIdempotent === true || kind === 'query';
const isRepeatable = (asked: Asked, error: HiveError): boolean =>
  mayRepeat(asked) && OUTCOME_OPEN.has(error.reason ?? '');
const leavesOpen = ({ kind }: Asked, error: HiveError): boolean =>
  kind === 'command' && OUTCOME_OPEN.has(error.reason ?? '');

/** Asks this replica's leader without a detour where it leads, else whoever does. */
export function ask<M extends Shape>(deps: AskingDeps<M>, asked: Asked): Promise<unknown> {
  const leader = deps.leader();
  if (!leader) return askAround(deps, asked);
  return new Promise((resolve, reject) => {
    const settle = (outcome: Outcome) => {
      if ('reply' in outcome) resolve(outcome.reply);
      else if (mayAskAgain(outcome.error) || isRepeatable(asked, outcome.error))
        resolve(askAround(deps, asked, outcome.error));
      else reject(outcome.error);
    };
    const { kind, name, input, call } = asked;
    leader.submit({ kind, name, input, call, settle });
  });
}

/**
 * Asks whoever leads, wherever that is. Everybody who listens hears it, and who does not lead (any more) may answer before who
 * does: so it is asked again while it is done, and a command that has no request id gets one here.
 */
async function askAround<M extends Shape>(deps: AskingDeps<M>, asked: Asked, first?: HiveError): Promise<unknown> {
  const { principal, federation, token, trace, signal } = asked.call;
  if (mayRepeat(asked) || principal.kind === 'service') return untilAnswered(deps, asked, first);
  const request = deps.requestIds.take();
  try {
    const call = { federation, principal, token, trace, request, signal };
    return await untilAnswered(deps, { ...asked, call }, first);
  } finally {
    deps.requestIds.release(request);
  }
}

/** Asks until somebody has answered, or it has taken too long. */
async function untilAnswered<M extends Shape>(deps: AskingDeps<M>, asked: Asked, first?: HiveError): Promise<unknown> {
  const { clock, forwardMs } = deps;
  let open = first && leavesOpen(asked, first) ? first : undefined;
  const giveUpAt = clock.monotonic() + forwardMs;
  for (let attempt = 0; ; attempt++) {
    const outcome = await askOnce(deps, asked);
    if ('reply' in outcome) return outcome.reply;
    const { error } = outcome;
    if (leavesOpen(asked, error)) open = error;
    else if (outcome.mayBeDone) open ??= outcomeUnknown();
    const again = mayAskAgain(error) || isRepeatable(asked, error);
    if (!again || asked.call.signal.aborted || clock.monotonic() > giveUpAt)
      throw ((isOfOneCopy(error) || outcome.mayBeDone) && open) || error;
    await pause(clock, Math.min(5 * 2 ** attempt, 50), asked.call.signal);
  }
}

/** Does it say only that this copy of what is asked was not done? Another one, asked before, may have been. */
const isOfOneCopy = (error: HiveError): boolean =>
  mayAskAgain(error) || isForWantOfRoom(error) || error.code === 'CANCELLED';

async function askOnce<M extends Shape>(deps: AskingDeps<M>, asked: Asked): Promise<Told> {
  deps.check();
  const { kind, name, input, call } = asked;
  const leader = deps.leader();
  if (leader) return submit(leader, asked);
  if (call.principal.kind === 'service') return { error: notLeader() };
  const { token, trace, request } = call;
  const reply = await forward(deps, { kind, name, input, token, trace, request }, call.signal, mayRepeat(asked));
  if ('reply' in reply) return reply;
  const error = HiveError.fromJSON(reply.error);
  if (!mayAskAgain(error)) return { error };
  const obstacle = deps.obstacle();
  const isFull = obstacle !== undefined && isForWantOfRoom(obstacle); // for everybody
  const mayBeDone = kind === 'command' && error.reason === 'LEADER_CHANGED' && !isFull;
  return { error: obstacle ?? error, mayBeDone };
}

/** `mayBeDone`: who answered first has not done it, which says nothing of whoever else has heard it. */
type Told = { readonly reply: unknown } | { readonly error: HiveError; readonly mayBeDone?: boolean };

/** Forwards; what may be asked twice is not waited for when this replica itself leads meanwhile. */
async function forward<M extends Shape>(
  deps: AskingDeps<M>,
  forwarded: Forwarded,
  signal: AbortSignal,
  repeatable: boolean,
): Promise<ForwardReply> {
  const answer = deps.line.forward(forwarded, signal).catch((error) => ({ error: HiveError.from(error).toJSON() }));
  if (!repeatable) return answer;
  const over = new AbortController();
  const leads = deps.leads(over.signal).then(
    () => ({ error: notAwaited().toJSON() }),
    () => answer,
  );
  return Promise.race([answer, leads]).finally(() => over.abort());
}

const submit = <M extends Shape>(leader: Leader<M>, { kind, name, input, call }: Submitted): Promise<Outcome> =>
  new Promise((settle) => leader.submit({ kind, name, input, call, settle }));

type Submitted = Omit<Asked, 'call'> & { readonly call: Pick<Call, 'principal' | 'trace' | 'request' | 'signal'> };

/** A caller elsewhere has not given up when this replica closes: it may ask the next leader. */
const NEVER = new AbortController().signal;

/** What stands between a forwarded command and the machine: the same as stands between a client's and it. */
export interface Door {
  /** Who a token proves; throws UNAUTHENTICATED. */
  authenticate(token: string): Principal;
  /**
   * Throws INVALID_ARGUMENT for a command that is none of the machine's, or whose input breaks a rule. May wait until
   * what its decision needs is known here.
   */
  checkCommand?(name: string, input: unknown): void | Promise<void>;
}

/** Answers what another replica, or somebody who says so, has forwarded. Never rejects. */
export async function answerForwarded<M extends Shape>(
  deps: AskingDeps<M>,
  door: Door,
  said: unknown,
  closing: AbortSignal,
): Promise<ForwardReply> {
  try {
    const forwarded = readForwarded(said);
    const { kind, name, input, token, trace, request } = forwarded;
    const principal = door.authenticate(token);
    checkRequestOwner(forwarded, principal);
    if (kind === 'command' && principal.kind === 'anonymous') throw tokenMissing(name);
    if (kind === 'command') await door.checkCommand?.(name, input);
    // It listens before its campaign is decided, which is the next thing that changes.
    if (!deps.leader()) await deps.change(closing);
    const leader = deps.leader();
    if (!leader) throw leaderChanged();
    const outcome = await submit(leader, { kind, name, input, call: { principal, trace, request, signal: NEVER } });
    return 'reply' in outcome ? outcome : { error: outcome.error.toJSON() };
  } catch (error) {
    return { error: HiveError.from(error).toJSON() };
  }
}

/** Refused before it is decided: who is nobody shall not make a leader write records. */
export const tokenMissing = (command: string): HiveError =>
  new HiveError('UNAUTHENTICATED', `${command} needs a token: say who you are with \`authorization: Bearer <jwt>\``, {
    reason: 'TOKEN_MISSING',
  });

/** The other one may do it, or have done it. */
const notAwaited = (): HiveError =>
  new HiveError('UNAVAILABLE', 'this replica leads now, and who led before has not answered', { reason: 'NO_ANSWER' });

const notLeader = (): HiveError =>
  new HiveError('FAILED_PRECONDITION', 'only the leader takes commands of its own service', { reason: 'NOT_LEADER' });
