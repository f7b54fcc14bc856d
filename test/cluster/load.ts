import { setTimeout as sleep } from 'node:timers/promises';
import type { Journal } from '../../libs/journal/journal.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Call, RequestId } from '../../libs/protocol/call.ts';
import { callBy } from '../../libs/testkit/call.ts';
import { until } from '../../libs/testkit/until.ts';
import type { LedgerShape } from '../simulation/journal/ledger.ts';

const CLIENTS = 8;
/** From a fault to work again: elections take 4 to 9 s each, several may follow each other, and the machine be busy. */
export const PATIENCE_MS = 90_000;
/** How long a client waits for one answer before it asks another replica. */
const ANSWER_MS = 2000;
/** It also asks another one after so many answers, since all shall have work. */
const CHANGE_EVERY = 25;

const callOf = (request?: RequestId): Call => callBy({ kind: 'operator', name: 'test', key: '' }, { request });

/** Clients that append lines without a pause, and repeat what was not answered at another replica. */
export class Load {
  /** The numbers that lines were answered to have, by request id. */
  readonly acked = new Map<string, number>();
  /** Errors that no client may see. */
  readonly faults: unknown[] = [];
  /** What they may see and saw, by reason. */
  readonly seen: Record<string, number> = {};
  readonly #replicas: readonly Journal<LedgerShape>[];
  readonly #clients: Promise<void>[];
  readonly #answers = Array.from({ length: CLIENTS }, () => 0);
  #stopping = false;

  constructor(replicas: readonly Journal<LedgerShape>[]) {
    this.#replicas = replicas;
    this.#clients = this.#answers.map((_, i) => this.#client(i));
  }

  /** Resolves when each client has got 50 more answers: everything works again. */
  async moves(): Promise<void> {
    const before = [...this.#answers];
    await until(() => this.#answers.every((count, i) => count >= (before[i] as number) + 50), PATIENCE_MS);
  }

  /** Resolves when all clients have got the answer that they wait for. */
  async stop(): Promise<void> {
    this.#stopping = true;
    await Promise.all(this.#clients);
  }

  async #client(index: number): Promise<void> {
    const client = `c${index}`;
    let asked = index;
    for (let counter = 1; !this.#stopping; ) {
      const replica = this.#replicas[asked % this.#replicas.length] as Journal<LedgerShape>;
      const answer = this.#append(replica, { client, counter });
      const n = await Promise.race([answer, sleep(ANSWER_MS, undefined, { ref: false })]);
      if (n === undefined || counter % CHANGE_EVERY === 0) asked++;
      if (n === undefined) continue;
      this.acked.set(`${client}:${counter}`, n);
      this.#answers[index] = counter++;
    }
  }

  async #append(replica: Journal<LedgerShape>, request: RequestId): Promise<number | undefined> {
    try {
      return (await replica.execute('append', { tag: `${request.client}-${request.counter}` }, callOf(request))).n;
    } catch (caught) {
      if (this.acked.has(`${request.client}:${request.counter}`)) return undefined; // by another replica, long ago
      const error = HiveError.from(caught);
      if (!error.retryable) this.faults.push(error);
      const reason = error.reason ?? error.code;
      this.seen[reason] = (this.seen[reason] ?? 0) + 1;
      await sleep(20);
      return undefined;
    }
  }
}
