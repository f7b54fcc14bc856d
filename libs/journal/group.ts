import { HiveError, isForWantOfRoom } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import type { Call, RequestId } from '../protocol/call.ts';
import type { Ctx, Decision, EventOf, Shape } from '../protocol/machine.ts';
import type { Principal } from '../protocol/principal.ts';
import { Callers } from './callers.ts';
import { contentDigest } from './content-digest.ts';
import type { Announcement } from './ports.ts';
import { encodeDecided, encodeGroup } from './record.ts';
import type { Replica } from './replica.ts';
import type { Answered } from './sessions.ts';

/** What waits for the leader's next group. */
export interface Waiting {
  readonly kind: 'command' | 'query' | 'tick' | 'barrier';
  readonly name: string;
  readonly input: unknown;
  readonly call: Pick<Call, 'principal' | 'trace' | 'request' | 'signal' | 'isOver'>;
  settle(outcome: Outcome): void;
}

/** A request id, what its command's input is known by, and whose it is. */
interface Asked extends RequestId {
  readonly digest: string;
  readonly session: string;
}

export type Outcome = { readonly reply: unknown } | { readonly error: HiveError };

export interface GroupLimits {
  readonly maxGroup: number;
  readonly maxRecordBytes: number;
}

/**
 * A group in the making: commands are decided in order, each on the state that the ones before left behind, and
 * applied at once, ahead of the commit. Nothing of it leaves before `settle`; if the record is not committed, the
 * replica that it was built on is thrown away.
 */
export class Group<M extends Shape, Soft> {
  readonly announcements: Announcement[] = [];
  readonly events: EventOf<M>[] = [];
  readonly revision: number;
  readonly time: number;
  readonly #replica: Replica<M>;
  readonly #soft: Soft;
  readonly #limits: GroupLimits;
  readonly #decided: string[] = [];
  readonly #settlements: [waiting: Waiting, outcome: Outcome][] = [];
  readonly #queries: Waiting[] = [];
  #bytes = 0;
  readonly #callers = new Callers();

  constructor(replica: Replica<M>, soft: Soft, time: number, limits: GroupLimits) {
    this.#replica = replica;
    this.#soft = soft;
    this.#limits = limits;
    this.time = time;
    this.revision = replica.seq + 1;
  }

  get commands(): number {
    return this.#settlements.length + this.#queries.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get full(): boolean {
    return this.commands >= this.#limits.maxGroup || this.#bytes >= this.#limits.maxRecordBytes;
  }

  /** Is there anything to keep, or anybody who must hear an answer that rests on a commit? */
  get empty(): boolean {
    return this.commands === 0 && this.#decided.length === 0;
  }

  /** Decides one that waits. False when it does not fit any more and must wait for the next group. */
  take(waiting: Waiting): boolean {
    switch (waiting.kind) {
      case 'barrier':
        this.#answer(waiting, { reply: undefined });
        return true;
      case 'query':
        this.#queries.push(waiting);
        return true;
      case 'tick':
        return this.#decide(waiting, undefined);
      case 'command':
        return this.#command(waiting);
    }
  }

  /** Answers the reads, which see all of the group, and makes its record. */
  encode(): string {
    for (const waiting of this.#queries) this.#answer(waiting, this.#ask(waiting));
    return encodeGroup(this.time, this.#decided);
  }

  /** Answers everybody, after the commit. */
  settle(): void {
    for (const [waiting, outcome] of this.#settlements.splice(0)) waiting.settle(outcome);
  }

  /** Tells everybody who was not answered yet that it went wrong; reads, of which nothing is kept, what is said `ofReads`. */
  fail(error: HiveError, ofReads = error): void {
    for (const [waiting] of this.#settlements.splice(0)) {
      waiting.settle({ error: waiting.kind === 'query' ? ofReads : error });
    }
  }

  traces(): readonly Announcement['trace'][] {
    return this.#settlements.map(([waiting]) => waiting.call.trace);
  }

  /** Announcements go on from the append in each one's trace. */
  follow(follow: (trace: Announcement['trace']) => Announcement['trace']): void {
    for (const announcement of this.announcements) announcement.trace = follow(announcement.trace);
  }

  #answer(waiting: Waiting, outcome: Outcome): void {
    this.#settlements.push([waiting, outcome]);
  }

  #command(waiting: Waiting): boolean {
    const { call, input } = waiting;
    if (!call.request) return this.#decide(waiting, undefined);
    const { client, counter } = call.request;
    const session = this.#callers.sessionOf(call.principal, client);
    const request = { client, counter, digest: contentDigest(input), session };
    return this.#repeated(waiting, request) || this.#decide(waiting, request);
  }

  #repeated(waiting: Waiting, request: Asked): boolean {
    const asking = { name: waiting.name, digest: request.digest };
    try {
      const before = this.#replica.sessions.lookup(request.session, request, asking);
      if (!before) return false;
      this.#answer(waiting, before.x ? { error: HiveError.fromJSON(before.x) } : { reply: before.y });
    } catch (error) {
      this.#answer(waiting, { error: HiveError.from(error) });
    }
    return true;
  }

  #ask(waiting: Waiting): Outcome {
    try {
      const { queries } = this.#replica.machine;
      const query = Object.hasOwn(queries, waiting.name) ? queries[waiting.name] : undefined;
      if (!query) throw new HiveError('UNIMPLEMENTED', `query ${waiting.name} is not known to this version`);
      const epochStart = this.#replica.epoch.time;
      const view = { now: this.time, revision: this.revision, epochStart, soft: this.#soft };
      return { reply: query(this.#replica.state, waiting.input as never, view) };
    } catch (error) {
      return { error: HiveError.from(error) };
    }
  }

  #decide(waiting: Waiting, request: Asked | undefined): boolean {
    const { principal } = waiting.call;
    let decision: Decision<M, unknown>;
    const texts: Text[] = [];
    let bytes = 0;
    try {
      decision = this.#run(waiting);
      for (const { data } of decision.events) {
        const json = JSON.stringify(data);
        const text = { json, bytes: Buffer.byteLength(json) };
        texts.push(text);
        bytes += text.bytes;
      }
      if (bytes > this.#limits.maxRecordBytes) throw tooLarge(waiting.name, bytes, this.#limits.maxRecordBytes);
    } catch (error) {
      this.#refuse(waiting, principal, request, HiveError.from(error));
      return true;
    }
    if (this.#bytes > 0 && this.#bytes + bytes > this.#limits.maxRecordBytes) return false;
    if (waiting.kind === 'tick' && decision.events.length === 0) return true;
    this.#apply(waiting, decision.events, texts);
    const reply = decision.reply();
    let events = '';
    for (const [i, { type }] of decision.events.entries()) {
      events += `${i === 0 ? '' : ','}{"type":"${type}","data":${texts[i]?.json}}`;
    }
    const kept = request && { n: waiting.name, h: request.digest, y: reply };
    const replied = request ? (JSON.stringify(reply) ?? 'null') : '';
    const decided = { events, bytes: bytes + Buffer.byteLength(replied), outcome: request ? `"y":${replied}` : '' };
    this.#keep(principal, decided, request, kept);
    this.#answer(waiting, { reply });
    return true;
  }

  #run(waiting: Waiting): Decision<M, unknown> {
    const { machine, state, epoch } = this.#replica;
    const ctx: Ctx<Soft> = {
      now: this.time,
      revision: this.revision,
      soft: this.#soft,
      epoch: epoch.epoch,
      epochStart: epoch.time,
      principal: waiting.call.principal,
      trace: waiting.call.trace,
      id: newId,
    };
    if (waiting.kind === 'tick') {
      return { events: machine.tick(state, ctx as Ctx<M['soft']>), reply: () => undefined };
    }
    const decide = Object.hasOwn(machine.commands, waiting.name) ? machine.commands[waiting.name] : undefined;
    if (!decide) throw new HiveError('UNIMPLEMENTED', `command ${waiting.name} is not known to this version`);
    return decide(state, waiting.input as never, ctx as Ctx<M['soft']>);
  }

  #apply({ call: { trace } }: Waiting, events: readonly EventOf<M>[], texts: readonly Text[]): void {
    const { machine, state, epoch } = this.#replica;
    for (const [i, event] of events.entries()) {
      const at = { revision: this.revision, index: this.events.length, time: this.time };
      this.#replica.apply(event, at);
      this.events.push(event);
      const { type, data } = event;
      const { json, bytes } = texts[i] as Text;
      const key = machine.events[type].key(data, state);
      this.announcements.push({ type, key, json, bytes, at, epoch: epoch.epoch, trace });
    }
  }

  /**
   * A refusal is an answer that rests on the state, and is kept. One that only says that there is no room now promises
   * nothing: it is told at once and costs no record, so that what is too much does not keep the rest from being done.
   */
  #refuse(waiting: Waiting, principal: Principal, request: Asked | undefined, error: HiveError): void {
    if (isForWantOfRoom(error)) return waiting.settle({ error });
    if (request) {
      const x = error.toJSON();
      const kept = { n: waiting.name, h: request.digest, x };
      const refused = JSON.stringify(x);
      const decided = { events: '', bytes: Buffer.byteLength(refused), outcome: `"x":${refused}` };
      this.#keep(principal, decided, request, kept);
    }
    this.#answer(waiting, { error });
  }

  #keep(
    principal: Principal,
    { events, bytes, outcome }: Decided,
    request: Asked | undefined,
    answered: Answered | undefined,
  ): void {
    if (request && answered) this.#replica.sessions.remember(request.session, request.counter, answered);
    else if (events === '') return;
    const by = this.#callers.nameOf(principal);
    this.#decided.push(encodeDecided(by, events, request, answered?.n ?? '', outcome, request?.digest));
    this.#bytes += bytes + COMMAND_BYTES;
  }
}

const newId = (prefix: string): string => `${prefix}-${randomId(12)}`;

/** An event's data as JSON. */
interface Text {
  readonly json: string;
  readonly bytes: number;
}

/** What a command became, as JSON: its events, and of one with a request id the reply or the refusal. */
interface Decided {
  readonly events: string;
  /** Of the events' data and the outcome. */
  readonly bytes: number;
  readonly outcome: string;
}

/** About what a record says of a command besides, in bytes: it is bounded well below what the bus carries. */
const COMMAND_BYTES = 256;

const tooLarge = (command: string, bytes: number, limit: number): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `${command} makes ${bytes} bytes of events; one record holds ${limit}`, {
    retryable: false,
    reason: 'COMMAND_TOO_LARGE',
  });
