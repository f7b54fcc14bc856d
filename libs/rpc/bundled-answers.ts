import { HiveError } from '../kernel/errors.ts';
import { answersText, answerText, errorText } from './bundle.ts';
import type { BusAnswers } from './bus-answers.ts';
import { toErrorJson } from './error-wire.ts';

/** Each call has a trace of its own, which its caller knows. */
const NO_TRACE = { traceparent: '', correlationId: '-', hops: 0 };

/** Answers in one message have at most so many characters together, or there is only one. */
const MAX_LENGTH = 128 * 1024;

/** The server's side of a bundle: answers that are ready in the same tick go back together. */
export class BundledAnswers {
  readonly #answers: BusAnswers;
  readonly #to: string;
  readonly #maxLength: number;
  #ready: string[] = [];
  #length = 0;

  constructor(answers: BusAnswers, to: string) {
    this.#answers = answers;
    this.#to = to;
    this.#maxLength = Math.min(MAX_LENGTH, answers.room);
  }

  /** Answers the call at index `call`. */
  send(call: number, answer: unknown): void {
    try {
      const text = answerText(call, JSON.stringify(answer));
      if (text.length > this.#maxLength) this.#sendNow([text]);
      else this.#add(text);
    } catch (error) {
      this.fail(call, HiveError.from(error));
    }
  }

  fail(call: number, error: HiveError): void {
    this.#add(errorText(call, toErrorJson(error)));
  }

  #add(text: string): void {
    if (this.#length + text.length > this.#maxLength) this.#flush();
    this.#length += text.length;
    if (this.#ready.push(text) === 1) queueMicrotask(() => this.#flush());
  }

  #flush(): void {
    if (this.#ready.length === 0) return;
    const ready = this.#ready;
    this.#ready = [];
    this.#length = 0;
    this.#sendNow(ready);
  }

  #sendNow(texts: readonly string[]): void {
    this.#answers.sendText(this.#to, 'hivebus.Bundle', answersText(texts), NO_TRACE);
  }
}
