import { type JetStreamClient, jetstream, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { DEAD_HEADERS } from '../../libs/bus/consume.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { deadLetters, ensureStream, streamError } from '../../libs/bus/streams.ts';
import { encodeHeaders, HEADERS } from '../../libs/protocol/envelope.ts';
import { deadLetterStream, deadLetterSubject } from '../../libs/protocol/subjects.ts';
import type { DeadLetter } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** The federation's stream of what could not be processed, as the pool writes it: tasks that have failed. */
export class DeadLetters {
  readonly #js: JetStreamClient;
  readonly #federation: string;

  private constructor(js: JetStreamClient, federation: string) {
    this.#js = js;
    this.#federation = federation;
  }

  /** Makes the stream where there is none. */
  static async open(nc: NatsConnection, federation: string, replicas: number): Promise<DeadLetters> {
    await ensureStream(await jetstreamManager(nc), deadLetters(federation, replicas));
    return new DeadLetters(jetstream(nc), federation);
  }

  /** Resolves when the stream has it; once, even if the answer to an earlier try was lost. */
  async publish({ task }: DeadLetter, id: string): Promise<void> {
    if (!task) return;
    const headers = encodeHeaders({
      // The end's time tells tasks apart that had the same id one after the other.
      'Nats-Msg-Id': `pool-${id}-${task.endedAt}`,
      [DEAD_HEADERS.reason]: task.reason.slice(0, 1024).replaceAll(/[\r\n\0]+/g, ' '),
      [DEAD_HEADERS.deliveries]: String(task.attempts.length),
      [HEADERS.correlation]: task.correlationId,
    });
    const subject = deadLetterSubject(this.#federation, 'pool');
    try {
      await this.#js.publish(subject, JSON.stringify(task), { headers: rawHeaders(headers) });
    } catch (error) {
      throw streamError(deadLetterStream(this.#federation), error);
    }
  }
}
