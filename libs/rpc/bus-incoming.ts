import type { Msg } from '@nats-io/nats-core';
import { headerBytes } from '../bus/message.ts';
import type { HiveError } from '../kernel/errors.ts';
import { type CallHeaders, decodeHeaders, readCallHeaders, readOwnHeaders } from '../protocol/envelope.ts';
import type { Trace } from '../protocol/machine.ts';
import { type BundledCall, readCalls } from './bundle.ts';
import { BundledAnswers } from './bundled-answers.ts';
import type { BusAnswers } from './bus-answers.ts';
import type { Schema } from './schema.ts';

/** A request as it came, in a message of its own or as a part of one, and where it is answered. */
export interface Incoming {
  readonly subject: string;
  /** Of the whole message. */
  readonly bytes: number;
  readonly replyTo: string;
  /** By which a repeat of it is known; empty = not at all. */
  readonly key: string;
  /** What it says of the call. Throws INVALID_ARGUMENT, or FAILED_PRECONDITION for too many hops. */
  headers(): CallHeaders;
  /** The request. Throws INVALID_ARGUMENT when it is none of the schema's type. */
  read(schema: Schema): object;
  /** Answers with a message of `type`. */
  send(type: string, answer: unknown, trace: Trace): void;
  fail(error: HiveError, trace: Trace): void;
}

export class LoneRequest implements Incoming {
  readonly #message: Msg;
  readonly #answers: BusAnswers;

  constructor(message: Msg, answers: BusAnswers) {
    this.#message = message;
    this.#answers = answers;
  }

  get subject(): string {
    return this.#message.subject;
  }

  get bytes(): number {
    return this.#message.data.length;
  }

  get replyTo(): string {
    return this.#message.reply ?? '';
  }

  get key(): string {
    return this.replyTo;
  }

  headers(): CallHeaders {
    return readCallHeaders(decodeHeaders(headerBytes(this.#message)));
  }

  read(schema: Schema): object {
    return schema.decode(this.#message.data);
  }

  send(type: string, answer: unknown, trace: Trace): void {
    this.#answers.send(this.replyTo, type, answer, trace);
  }

  fail(error: HiveError, trace: Trace): void {
    this.#answers.fail(this.replyTo, error, trace);
  }
}

/** What calls in one message share. */
interface Envelope {
  readonly subject: string;
  readonly headers: CallHeaders;
  readonly bytes: number;
  readonly replyTo: string;
  readonly answers: BundledAnswers;
}

/** One of several calls in a message; its own headers count before the message's. */
export class BundledRequest implements Incoming {
  readonly method: string;
  readonly #shared: Envelope;
  readonly #index: number;
  readonly #call: BundledCall;

  /** Throws INVALID_ARGUMENT for wrong headers and what holds no such calls, RESOURCE_EXHAUSTED for too many of them. */
  static allOf(message: Msg, answers: BusAnswers): BundledRequest[] {
    const { subject, data, reply: replyTo = '' } = message;
    const shared: Envelope = {
      subject,
      headers: readCallHeaders(decodeHeaders(headerBytes(message))),
      bytes: data.length,
      replyTo,
      answers: new BundledAnswers(answers, replyTo),
    };
    return readCalls(data).map((call, index) => new BundledRequest(shared, index, call));
  }

  private constructor(shared: Envelope, index: number, call: BundledCall) {
    this.method = call.method;
    this.#shared = shared;
    this.#index = index;
    this.#call = call;
  }

  get subject(): string {
    return this.#shared.subject;
  }

  get bytes(): number {
    return this.#shared.bytes;
  }

  get replyTo(): string {
    return this.#shared.replyTo;
  }

  get key(): string {
    return this.#call.reply ?? '';
  }

  headers(): CallHeaders {
    return readOwnHeaders(this.#call.headers, this.#shared.headers);
  }

  read(schema: Schema): object {
    return schema.check(this.#call.request);
  }

  send(_type: string, answer: unknown): void {
    this.#shared.answers.send(this.#index, answer);
  }

  fail(error: HiveError): void {
    this.#shared.answers.fail(this.#index, error);
  }
}
