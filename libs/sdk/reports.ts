import { merged } from '../kernel/merged.ts';
import { BACKGROUND } from '../rpc/observe.ts';
import { isSampled } from '../telemetry/traceparent.ts';
import type { Outcome, ReportedTask, ReportTaskRequest, TaskState } from '../wire/hivebus/pool/v1/pool.ts';
import type { Attempt, Ending } from './attempt.ts';
import type { Hive } from './hive.ts';
import { type Settled, type Together, togetherOrNot } from './together.ts';

/** What a report has room for. */
const MAX_RESULT_BYTES = 256 * 1024;
/** Results that are reported together with others', each, in bytes: the bus carries 1 MiB in a message. */
const SMALL_BYTES = 2048;

/** Outcomes for people. */
const WORDS: Readonly<Record<Outcome, string>> = {
  OUTCOME_UNSPECIFIED: 'has ended',
  OUTCOME_SUCCEEDED: 'succeeded',
  OUTCOME_FAILED: 'failed',
  OUTCOME_TERMINAL: 'failed for good',
  OUTCOME_TIMED_OUT: 'was too slow',
  OUTCOME_CANCELLED: 'was cancelled',
  OUTCOME_LOST: 'is given back',
  OUTCOME_MOVED: 'moves to another agent',
};

export const inWords = (outcome: Outcome): string => WORDS[outcome];

/** Whether its result has room in a report. */
export const fitsReport = ({ resultBytes = 0 }: Ending): boolean => resultBytes <= MAX_RESULT_BYTES;

export interface ReportsOptions {
  readonly hive: Hive;
  readonly instance: string;
  /** What log lines are signed with, for the pool. */
  readonly logKey: string;
  readonly settled: Settled;
}

/** What one agent's instance tells the pool of how its attempts have ended: what ends in one tick together. */
export class Reports {
  readonly #options: ReportsOptions;
  readonly #together: Together<ReportTaskRequest, ReportedTask | undefined>;

  constructor(options: ReportsOptions) {
    this.#options = options;
    const { hive, settled } = options;
    this.#together = togetherOrNot(settled, async (reports: ReportTaskRequest[]) => {
      const answer = await hive.pool.reportTasks({ reports }, { trace: BACKGROUND });
      return answer.reports.map((each) => (each.refusal ? undefined : each));
    });
  }

  /** Resolves to what the task is then, when the pool has taken it. Rejects when the attempt is another's by now. */
  async send(attempt: Attempt, { outcome, result, reason, resultBytes = 0 }: Ending): Promise<TaskState> {
    const { hive, instance, logKey, settled } = this.#options;
    const { task, attempt: number, traceparent } = attempt.assignment;
    const said = { task, attempt: number, instance, outcome, result, reason };
    const report = merged(said, attempt.confirmed ? {} : { logKey, ranMs: attempt.ranMs });
    const goesAlone = isSampled(traceparent) || resultBytes > SMALL_BYTES;
    const together = goesAlone ? undefined : await this.#together.call(report);
    const { state } = together ?? (await settled(() => hive.pool.reportTask(report)));
    return state;
  }
}
