import { type Clock, pause } from '../kernel/clock.ts';
import { HiveError, isForWantOfRoom } from '../kernel/errors.ts';
import type { Call } from '../protocol/call.ts';
import type { Shape } from '../protocol/machine.ts';
import type { Principal } from '../protocol/principal.ts';
import { checkRequestOwner, readForwarded } from './forwarded.ts';
import type { Outcome } from './group.ts';
import { type Leader, leaderChanged } from './leader.ts';
import type { Forwarded, ForwardReply, LeaderLine } from './ports.ts';

export interface AskingDeps<M extends Shape> {
  readonly line: LeaderLine;
  readonly clock: Clock;
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

const mayRepeat = ({ call, kind }: Pick<Submitted, 'call' | 'kind'>): boolean =>
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

/** Asks whoever leads, wherever that is, until somebody has answered or it has taken too long. */
async function askAround<M extends Shape>(deps: AskingDeps<M>, asked: Asked, first?: HiveError): Promise<unknown> {
  const { clock, forwardMs } = deps;
  let open = first && leavesOpen(asked, first) ? first : undefined;
  const giveUpAt = clock.monotonic() + forwardMs;
  for (let attempt = 0; ; attempt++) {
    const outcome = await askOnce(deps, asked);
    if ('reply' in outcome) return outcome.reply;
    const { error } = outcome;
    if (leavesOpen(asked, error)) open = error;
    const again = mayAskAgain(error) || isRepeatable(asked, error);
    if (!again || asked.call.signal.aborted || clock.monotonic() > giveUpAt)
      throw (isOfOneCopy(error) && open) || error;
    await pause(clock, Math.min(5 * 2 ** attempt, 50), asked.call.signal);
  }
}

/** Does it say only that this copy of what is asked was not done? Another one, asked before, may have been. */
const isOfOneCopy = (error: HiveError): boolean => mayAskAgain(error) || isForWantOfRoom(error);

async function askOnce<M extends Shape>(deps: AskingDeps<M>, asked: Asked): Promise<Outcome> {
  deps.check();
  const { kind, name, input, call } = asked;
  const leader = deps.leader();
  if (leader) return submit(leader, asked);
  if (call.principal.kind === 'service') return { error: notLeader() };
  const { token, trace, request, isIdempotent } = call;
  const forwarded = { kind, name, input, token, trace, request, isIdempotent };
  const reply = await forward(deps, forwarded, call.signal, mayRepeat(asked));
  if ('reply' in reply) return reply;
  const error = HiveError.fromJSON(reply.error);
  return { error: (mayAskAgain(error) && deps.obstacle()) || error };
}

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

const submitOnly = async <M extends Shape>(leader: Leader<M> | undefined, submitted: Submitted): Promise<Outcome> =>
  leader ? submit(leader, submitted) : { error: leaderChanged() };

type Submitted = Omit<Asked, 'call'> & {
  readonly call: Pick<Call, 'principal' | 'trace' | 'request' | 'isIdempotent' | 'signal'>;
};

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

/**
 * Answers what another replica, or somebody who says so, has forwarded. Never rejects. Undefined is no answer: everybody who
 * listens has heard it, so who does not lead after all cannot say that it was not done, and be asked for it again.
 */
export async function answerForwarded<M extends Shape>(
  deps: AskingDeps<M>,
  door: Door,
  said: unknown,
  closing: AbortSignal,
): Promise<ForwardReply | undefined> {
  try {
    const forwarded = readForwarded(said);
    const { kind, name, input, token, trace, request, isIdempotent } = forwarded;
    const principal = door.authenticate(token);
    checkRequestOwner(forwarded, principal);
    if (kind === 'command' && principal.kind === 'anonymous') throw tokenMissing(name);
    if (kind === 'command') await door.checkCommand?.(name, input);
    // It listens before its campaign is decided, which is the next thing that changes.
    if (!deps.leader()) await deps.change(closing);
    const call = { principal, trace, request, isIdempotent, signal: NEVER };
    const outcome = await submitOnly(deps.leader(), { kind, name, input, call });
    if ('reply' in outcome) return outcome;
    const { error } = outcome;
    if (mayRepeat({ kind, call }) || !mayAskAgain(error)) return { error: error.toJSON() };
    const obstacle = deps.obstacle();
    return obstacle && isForWantOfRoom(obstacle) ? { error: obstacle.toJSON() } : undefined; // full for everybody
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
