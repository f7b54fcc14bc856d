import type { Clock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { BACKGROUND } from '../rpc/observe.ts';
import { isSampled } from '../telemetry/traceparent.ts';
import type { Assignment, ConfirmAssignmentRequest, ConfirmAssignmentResponse } from '../wire/hivebus/pool/v1/pool.ts';
import type { Attempt } from './attempt.ts';
import { type Asked, type Confirmed, confirm } from './confirm.ts';
import type { Hive } from './hive.ts';
import { type Settled, type Together, togetherOrNot } from './together.ts';

export interface ConfirmationsOptions {
  readonly hive: Hive;
  readonly instance: string;
  /** What log lines are signed with, for the pool. */
  readonly logKey: string;
  readonly clock: Clock;
  readonly settled: Settled;
  /** The epoch of the leader that has answered. */
  readonly heard: (epoch: number) => void;
  readonly tell: (text: string) => void;
}

/** What the pool said, and when it was asked, on the clock's monotonic time. */
export type ConfirmedAt = Confirmed & { readonly sentAt: number };

/**
 * What the pool says of this agent's attempts: asked before one begins; while it runs, when it began at once; and when
 * somebody says that it shall end, since anybody can.
 */
export class Confirmations {
  readonly #options: ConfirmationsOptions;
  readonly #together: Together<ConfirmAssignmentRequest, ConfirmAssignmentResponse | undefined>;
  /** Attempts of which the pool is being asked whether they still are this agent's. */
  readonly #doubted = new Set<Attempt>();
  /** Of attempts that began at once: what the pool is asked. */
  readonly #asked = new WeakMap<Attempt, Promise<void>>();
  #begun: Attempt[] = [];

  constructor(options: ConfirmationsOptions) {
    this.#options = options;
    const { hive, settled } = options;
    this.#together = togetherOrNot(settled, async (confirmations: ConfirmAssignmentRequest[]) => {
      const answer = await hive.pool.confirmAssignments({ confirmations }, { trace: BACKGROUND });
      return answer.confirmations.map((each) => each.answer);
    });
  }

  /** Before it begins. Rejects with ABORTED or NOT_FOUND when it is not this agent's (any more). */
  async before({ assignment }: Attempt): Promise<ConfirmedAt> {
    const { hive, instance, settled, clock, logKey, heard } = this.#options;
    const ask = async (asked: Asked) => {
      const sentAt = clock.monotonic();
      return { sentAt, ...(await confirm(asked, instance, assignment, logKey)) };
    };
    const pool: Asked['pool'] = {
      confirmAssignment: (request) => this.#confirm(request),
      getTask: (request) => settled(() => hive.pool.getTask(request)),
    };
    // A claim counts from the sending of what was answered, and not of what was lost.
    const isAlone = goesAlone(assignment) || assignment.spec?.continuity?.claim;
    const confirmed = await (isAlone ? settled(() => ask(hive)) : ask({ pool }));
    heard(confirmed.epoch);
    return confirmed;
  }

  /** It has begun at once: the pool is told at the end of this tick, unless it has ended by then, and its report says it. */
  soon(attempt: Attempt): void {
    const { clock } = this.#options;
    const tell = (begun: readonly Attempt[]) => {
      for (const each of begun) if (!each.worked) void this.known(each);
    };
    if (goesAlone(attempt.assignment))
      clock.defer(() => tell([attempt])); // in its own trace
    else if (this.#begun.push(attempt) === 1) clock.defer(() => tell(this.#begun.splice(0)));
  }

  /** Resolves when the pool knows that it has begun, or has refused it, which ends it. */
  known(attempt: Attempt): Promise<void> {
    const before = this.#asked.get(attempt);
    if (before) return before;
    const asked = this.#ask(attempt).then((cancel) => {
      if (cancel !== undefined) attempt.confirmed = true;
    });
    this.#asked.set(attempt, asked);
    return asked;
  }

  /** Somebody says that an attempt shall end, or that there is a later one: it ends when the pool says so, too. */
  async doubt(attempt: Attempt): Promise<void> {
    if (attempt.worked || this.#doubted.has(attempt)) return;
    this.#doubted.add(attempt);
    const { task, attempt: number } = attempt.assignment;
    const cancel = await this.#ask(attempt);
    this.#doubted.delete(attempt);
    if (cancel === false)
      this.#options.tell(`a message that attempt ${number} of task ${task} shall end is not the pool's: it goes on`);
  }

  /** Whether a running attempt shall end, which is then done; undefined = it was refused, or nobody can be asked any more. */
  async #ask(attempt: Attempt): Promise<boolean | undefined> {
    const { instance, logKey, heard, tell } = this.#options;
    const { assignment } = attempt;
    const { task, attempt: number } = assignment;
    try {
      const request = { task, attempt: number, instance, logKey };
      const { cancel, epoch } = await this.#confirm(request, goesAlone(assignment));
      heard(Number(epoch));
      if (cancel) attempt.stop('cancelled');
      return cancel;
    } catch (cause) {
      const error = HiveError.from(cause);
      if (error.code !== 'ABORTED' && error.code !== 'NOT_FOUND')
        tell(`cannot ask about attempt ${number} of task ${task}: ${error.message}`);
      else if (!attempt.worked) attempt.stop('superseded');
      return undefined;
    }
  }

  async #confirm(request: ConfirmAssignmentRequest, isAlone = false): Promise<ConfirmAssignmentResponse> {
    const { hive, settled } = this.#options;
    const together = isAlone ? undefined : await this.#together.call(request);
    return together ?? settled(() => hive.pool.confirmAssignment(request));
  }
}

/** What is traced has calls of its own, which its trace shows. */
const goesAlone = ({ traceparent }: Assignment): boolean => isSampled(traceparent);
