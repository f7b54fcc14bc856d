import type { NatsConnection } from '@nats-io/nats-core';
import { type Span, SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { type Heard as Answer, request } from '../../libs/bus/request.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { encodeLines, eventLines, headerLine, traceLines } from '../../libs/protocol/envelope.ts';
import type { Trace } from '../../libs/protocol/machine.ts';
import { leftIn, parcelText } from '../../libs/protocol/parcel.ts';
import { SIGNATURE, signatureOf } from '../../libs/protocol/signature.ts';
import { agentSubject, assignmentSubject } from '../../libs/protocol/subjects.ts';
import type { KeyPair } from '../../libs/protocol/token.ts';
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
const SOURCE = '/hivebus/pool';
/** A message has at most so many assignments, and so many characters when it has more than one. */
const MAX_TOGETHER = 256;
const MAX_LENGTH = 128 * 1024;
/** But not more than this part of the bytes that the bus carries: characters take up to 3, and headers want room. */
const PAYLOAD_PARTS = 4;
const NO_TRACE: Trace = { traceparent: '', correlationId: '-', hops: 0 };

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

const heardIn = (answer: Answer): Heard =>
  answer === 'nobody' ? 'nobody' : answer === 'silence' ? 'silent' : 'answered';

/** An assignment on its way. */
interface Item {
  readonly id: string;
  readonly task: string;
  readonly json: string;
  /** The agent may begin at once, so it must know from whom this comes. */
  readonly atOnce: boolean | undefined;
  readonly trace: Trace;
  readonly timeoutMs: number;
  readonly resolve: (heard: Heard) => void;
  readonly reject: (error: unknown) => void;
}

/** Requests to agents' instances, on the subject of their assignments. */
export class AgentLine {
  readonly #nc: NatsConnection;
  readonly #federation: string;
  readonly #clock: Clock;
  readonly #key: KeyPair | undefined;
  /** What goes out at the end of this tick, by the subject of the instance. */
  readonly #outgoing = new Map<string, Item[]>();

  /** `key`: what assignments are signed with that may be begun at once. */
  constructor(nc: NatsConnection, federation: string, clock: Clock, key?: KeyPair) {
    this.#nc = nc;
    this.#key = key;
    this.#federation = federation;
    this.#clock = clock;
  }

  /**
   * Sends an assignment, together with what else the instance is sent in this tick. One that is traced goes alone, within
   * a span of its own that the agent goes on from. `id` is the same at each repeat; of one that `isOver` meanwhile the
   * answer is nobody's business.
   */
  send(assignment: Assignment, id: string, timeoutMs: number, isOver: () => boolean): Promise<Heard> {
    const { task, traceparent, correlationId, hops, atOnce } = assignment;
    if (isSampled(traceparent)) return this.#sendAlone(assignment, id, timeoutMs, isOver);
    const json = JSON.stringify(assignment);
    const trace = { traceparent, correlationId, hops };
    return new Promise((resolve, reject) => {
      this.#add(this.#subjectOf(assignment), { id, task, json, atOnce, trace, timeoutMs, resolve, reject });
    });
  }

  async #sendAlone(assignment: Assignment, id: string, timeoutMs: number, isOver: () => boolean): Promise<Heard> {
    const { task, traceparent, correlationId, hops, atOnce } = assignment;
    const subject = this.#subjectOf(assignment);
    const span = this.#delivering(assignment, id, subject);
    const trace = { traceparent: traceparentOf(span, traceparent), correlationId, hops };
    const json = JSON.stringify({ ...assignment, traceparent: trace.traceparent });
    const heard = await new Promise<Heard>((resolve, reject) =>
      this.#ask(subject, [{ id, task, json, atOnce, trace, timeoutMs, resolve, reject }]),
    );
    if (span) ended(span, isOver() ? 'overtaken' : heard);
    return heard;
  }

  /** Asks with an empty message whether the instance is still connected: only `nobody` means anything. */
  probe(whom: Whom, timeoutMs: number, signal: AbortSignal): Promise<Heard> {
    return new Promise((resolve) => {
      const question = { subject: this.#subjectOf(whom), body: EMPTY, timeoutMs };
      const giveUp = request(this.#nc, this.#clock, question, (answer) => {
        signal.removeEventListener('abort', giveUp);
        resolve(heardIn(answer));
      });
      signal.addEventListener('abort', giveUp);
      if (signal.aborted) giveUp();
    });
  }

  #subjectOf({ agent, instance }: Whom): string {
    const slash = agent.indexOf('/');
    return assignmentSubject(this.#federation, agent.slice(0, slash), agent.slice(slash + 1), instance);
  }

  #add(subject: string, item: Item): void {
    const items = this.#outgoing.get(subject);
    if (items) items.push(item);
    else this.#outgoing.set(subject, [item]);
    if (!items && this.#outgoing.size === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    const maxLength = Math.min(MAX_LENGTH, (this.#nc.info?.max_payload ?? Number.POSITIVE_INFINITY) / PAYLOAD_PARTS);
    for (const [subject, items] of this.#outgoing) {
      let first = 0;
      let length = 0;
      for (const [i, { json }] of items.entries()) {
        if (i > first && (i - first >= MAX_TOGETHER || length + json.length > maxLength)) {
          this.#ask(subject, items.slice(first, i));
          first = i;
          length = 0;
        }
        length += json.length;
      }
      this.#ask(subject, first === 0 ? items : items.slice(first));
    }
    this.#outgoing.clear();
  }

  /** Sends items as one message, and tells each what was heard of it. */
  #ask(subject: string, items: readonly Item[]): void {
    const [{ id, task, trace, timeoutMs }] = items as [Item];
    const isOne = items.length === 1;
    const event = {
      id: isOne ? id : `${id}+${items.length - 1}`,
      type: TYPE,
      source: SOURCE,
      timeMs: this.#clock.now(),
    };
    const body = Buffer.from(parcelText(items.map(({ json }) => json)));
    const signature = items.some(({ atOnce }) => atOnce) ? this.#signature(subject, body) : '';
    const about = eventLines(isOne ? { subject: task, ...event } : event);
    const lines = about + traceLines(isOne ? trace : NO_TRACE) + signature;
    try {
      request(this.#nc, this.#clock, { subject, body, headers: encodeLines(lines), timeoutMs }, (answer) => {
        const heard = heardIn(answer);
        const left = typeof answer === 'string' ? [] : leftIn(answer.data);
        for (const [i, { resolve }] of items.entries()) resolve(left.includes(i) ? 'silent' : heard);
      });
    } catch (error) {
      for (const { reject } of items) reject(error); // nobody else is there to catch it: it is sent at the end of a tick
    }
  }

  #signature(subject: string, body: Uint8Array): string {
    return this.#key ? headerLine(SIGNATURE, signatureOf(this.#key, subject, body)) : '';
  }

  #delivering(assignment: Assignment, id: string, subject: string): Span | undefined {
    const { agent, instance, task, attempt, cancel, epoch, traceparent } = assignment;
    const [swarm = '', name = ''] = agent.split('/');
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
}
