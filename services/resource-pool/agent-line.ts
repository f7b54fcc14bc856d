import type { NatsConnection } from '@nats-io/nats-core';
import { type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { isNoResponders } from '../../libs/bus/message.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { ReplyBox } from '../../libs/bus/reply-box.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { encodeLines, eventLines, traceLines } from '../../libs/protocol/envelope.ts';
import type { Trace } from '../../libs/protocol/machine.ts';
import { agentSubject, assignmentSubject } from '../../libs/protocol/subjects.ts';
import { ATTRIBUTE, messaging } from '../../libs/telemetry/attributes.ts';
import { startSampled, traceparentOf } from '../../libs/telemetry/span.ts';
import { isSampled } from '../../libs/telemetry/traceparent.ts';
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

/** overtaken: it was not owed any more before the answer came. */
function ended(span: Span, heard: Heard | 'overtaken'): void {
  span.setAttribute(ATTRIBUTE.answer, heard);
  const message = UNHEARD[heard];
  if (message) span.setStatus({ code: SpanStatusCode.ERROR, message });
  span.end();
}

const UNHEARD: Partial<Record<string, string>> = {
  nobody: "the agent's connection is closed",
  silent: 'no answer in time',
};

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

  /** Sends an assignment, within a span of its own that the agent goes on from. `id` is the same at each repeat. */
  async send(assignment: Assignment, id: string, timeoutMs: number, signal: AbortSignal): Promise<Heard> {
    const { traceparent, correlationId, hops } = assignment;
    const span = isSampled(traceparent) ? this.#delivering(assignment, id) : undefined;
    const trace: Trace = { traceparent: traceparentOf(span, traceparent), correlationId, hops };
    const event = { id, type: TYPE, source: '/hivebus/pool', timeMs: this.#clock.now(), subject: assignment.task };
    const headers = encodeLines(eventLines(event) + traceLines(trace));
    const body = Buffer.from(JSON.stringify({ ...assignment, traceparent: trace.traceparent }));
    const heard = await this.#ask(assignment, body, headers, timeoutMs, signal);
    if (span) ended(span, signal.aborted ? 'overtaken' : heard);
    return heard;
  }

  #delivering(assignment: Assignment, id: string): Span | undefined {
    const { agent, instance, task, attempt, cancel, epoch, traceparent } = assignment;
    const [swarm = '', name = ''] = agent.split('/');
    const subject = assignmentSubject(this.#federation, swarm, name, instance);
    const template = agentSubject(this.#federation, swarm, name);
    const what = cancel ? 'cancel' : 'deliver';
    return startSampled(`${what} ${template}`, traceparent, {
      kind: SpanKind.PRODUCER,
      attributes: {
        ...messaging({ name: what, type: 'send', subject, template, trace: assignment, service: 'pool' }),
        [ATTRIBUTE.messageId]: id,
        [ATTRIBUTE.task]: task,
        [ATTRIBUTE.attempt]: attempt,
        [ATTRIBUTE.agent]: agent,
        [ATTRIBUTE.instance]: instance,
        [ATTRIBUTE.epoch]: epoch,
      },
    });
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
