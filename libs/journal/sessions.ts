import { HiveError } from '../kernel/errors.ts';
import { Table } from '../kernel/table.ts';
import type { RequestId } from '../protocol/call.ts';
import { sameContent } from './content-digest.ts';
import type { DecidedJson } from './record.ts';

/** The last answers of one client, oldest first. */
export interface SessionRow {
  readonly answers: readonly Answer[];
}

/** The command that an answer was for, what its input is known by, and the reply or the refusal that it got. */
export type Answered = Pick<DecidedJson, 'n' | 'h' | 'y' | 'x'>;
export type Answer = readonly [counter: number, outcome: Answered];

/** What a request asks for. */
export interface Asking {
  readonly name: string;
  /** See `contentDigest`. */
  readonly digest: string;
}

/** Answers kept for each client: a client may have this many requests unanswered and still repeat any of them. */
export const ANSWERS_PER_CLIENT = 32;
/** Clients that are remembered; the one that was silent longest goes first. */
export const MAX_CLIENTS = 8192;
/** The same for one principal, so that nobody makes others be forgotten. */
export const MAX_CLIENTS_OF_ONE = 256;

/**
 * First answers by principal and request id, part of the durable state: a repeat is answered the same by any leader, and
 * nobody gets an answer that was another's.
 */
export class Sessions {
  readonly table = new Table<SessionRow>();
  /** Keys by principal, silent longest first. Derived from the table. */
  readonly #byPrincipal = new Map<string, Set<string>>();
  /** The last key of the table: who is heard again and again need not be moved to the end each time. */
  #newest = '';

  /**
   * The first answer to this request; undefined when it is new. `key`: whose it is, see `sessionKey`.
   * Refuses a counter older than all that are kept: whether it was done before is not known any more.
   */
  lookup(key: string, request: RequestId, asking: Asking): Answered | undefined {
    const answers = this.table.get(key)?.answers;
    if (!answers) return undefined;
    let oldest = Number.POSITIVE_INFINITY;
    for (const [counter, outcome] of answers) {
      if (counter === request.counter) return sameCommand(request, outcome, asking);
      if (counter < oldest) oldest = counter;
    }
    if (answers.length < ANSWERS_PER_CLIENT || request.counter > oldest) return undefined;
    throw new HiveError(
      'FAILED_PRECONDITION',
      `request ${request.client}:${request.counter} is too old: answers are kept from ${oldest} on, so it is not known whether it was done`,
      { reason: 'REQUEST_FORGOTTEN' },
    );
  }

  remember(key: string, counter: number, outcome: Answered): void {
    const answers = followedBy(this.table.get(key)?.answers ?? [], [counter, outcome]);
    const isNewest = key === this.#newest;
    if (!isNewest) this.#forget(key); // to the end of the order of insertion: heard of last
    this.table.set(key, { answers });
    if (isNewest) return;
    this.#newest = key;
    const own = this.#index(key);
    if (own.size > MAX_CLIENTS_OF_ONE) this.#forget(own.values().next().value as string);
    if (this.table.size > MAX_CLIENTS) this.#forget(this.table.keys().next().value as string);
  }

  /** Rebuilds what is derived, after the table was filled from a snapshot. */
  restored(): void {
    for (const key of this.table.keys()) {
      this.#index(key);
      this.#newest = key;
    }
  }

  #index(key: string): Set<string> {
    const principal = principalOf(key);
    const own = this.#byPrincipal.get(principal) ?? new Set();
    this.#byPrincipal.set(principal, own.add(key));
    return own;
  }

  #forget(key: string): void {
    this.table.delete(key);
    const principal = principalOf(key);
    const own = this.#byPrincipal.get(principal);
    own?.delete(key);
    if (own?.size === 0) this.#byPrincipal.delete(principal);
  }
}

/** The last answers with one more, of the right size at once: each command makes such a list. */
function followedBy(before: readonly Answer[], last: Answer): readonly Answer[] {
  const from = Math.max(0, before.length - (ANSWERS_PER_CLIENT - 1));
  const answers = new Array<Answer>(before.length - from + 1);
  for (let i = from; i < before.length; i++) answers[i - from] = before[i] as Answer;
  answers[before.length - from] = last;
  return answers;
}

/** What was answered to something else is no answer to this: the client has used its number twice. */
function sameCommand({ client, counter }: RequestId, outcome: Answered, { name, digest }: Asking): Answered {
  const isSame = (outcome.n ?? name) === name && sameContent(outcome.h, digest);
  if (isSame) return outcome;
  const was = outcome.n === name ? `another ${name}` : outcome.n;
  const message = `request ${client}:${counter} was used for something else, ${was}; each request needs a number of its own`;
  throw new HiveError('INVALID_ARGUMENT', message, { reason: 'REQUEST_ID_REUSED' });
}

/** One client of one principal. Neither part has a space. */
export const sessionKey = (principal: string, client: string): string => `${principal} ${client}`;
const principalOf = (key: string): string => key.slice(0, key.indexOf(' '));
