import type { NatsConnection } from '@nats-io/nats-core';
import { isNoResponders } from '../../libs/bus/message.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { ReplyBox } from '../../libs/bus/reply-box.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { encodeLines, eventLines, traceLines } from '../../libs/protocol/envelope.ts';
import type { Trace } from '../../libs/protocol/machine.ts';
import { assignmentSubject } from '../../libs/protocol/subjects.ts';
import type { Assignment } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** answered: the agent has it; nobody: its connection is closed; silent: it listens, or nobody can tell. */
export type Heard = 'answered' | 'nobody' | 'silent';

/** An agent's instance. */
export interface Whom {
  /** `swarm/name` */
  readonly agent: string;
  readonly instance: string;
}

const EMPTY = Buffer.alloc(0);
const TYPE = 'hivebus.pool.v1.Assignment';

/** Requests to agents' instances, on the subject of their assignments. */
export class AgentLine {
  readonly #nc: NatsConnection;
  readonly #federation: string;
  readonly #clock: Clock;

  constructor(nc: NatsConnection, federation: string, clock: Clock) {
    this.#nc = nc;
    this.#federation = federation;
    this.#clock = clock;
  }

  /** Sends an assignment. `id` is the same at each repeat. */
  send(assignment: Assignment, id: string, timeoutMs: number, signal: AbortSignal): Promise<Heard> {
    const { traceparent, correlationId, hops } = assignment;
    const trace: Trace = { traceparent, correlationId, hops };
    const event = { id, type: TYPE, source: '/hivebus/pool', timeMs: this.#clock.now(), subject: assignment.task };
    const headers = encodeLines(eventLines(event) + traceLines(trace));
    return this.#ask(assignment, Buffer.from(JSON.stringify(assignment)), headers, timeoutMs, signal);
  }

  /** Asks with an empty message whether the instance is still connected: only `nobody` means anything. */
  probe(whom: Whom, timeoutMs: number, signal: AbortSignal): Promise<Heard> {
    return this.#ask(whom, EMPTY, undefined, timeoutMs, signal);
  }

  #ask(
    { agent, instance }: Whom,
    body: Buffer,
    headers: Uint8Array | undefined,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<Heard> {
    const [swarm = '', name = ''] = agent.split('/');
    const subject = assignmentSubject(this.#federation, swarm, name, instance);
    const box = ReplyBox.of(this.#nc);
    return new Promise((resolve) => {
      const end = (heard: Heard) => {
        box.close(reply);
        timer[Symbol.dispose]();
        signal.removeEventListener('abort', giveUp);
        resolve(heard);
      };
      const giveUp = () => end('silent');
      const reply = box.open((message) => end(isNoResponders(message) ? 'nobody' : 'answered'));
      const timer = this.#clock.after(timeoutMs, giveUp);
      signal.addEventListener('abort', giveUp);
      if (signal.aborted || this.#nc.isClosed()) return giveUp();
      this.#nc.publish(subject, body, headers ? { reply, headers: rawHeaders(headers) } : { reply });
    });
  }
}
