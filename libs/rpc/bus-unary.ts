import type { HiveError } from '../kernel/errors.ts';
import type { Share } from '../protocol/shares.ts';
import type { Method } from './binding.ts';
import type { Incoming } from './bus-incoming.ts';
import type { Running } from './in-flight.ts';
import type { ServerCall } from './server-call.ts';
import type { Term } from './term.ts';

/** Answers a request, unless somebody else has. */
export type Finish = (unary: Unary, error: HiveError | undefined, answer?: unknown) => void;

interface Opened {
  readonly call: ServerCall;
  readonly term: Term;
  readonly share: Share;
}

/** A unary request that is being done. */
export class Unary implements Running {
  readonly method: Method;
  readonly call: ServerCall;
  readonly incoming: Incoming;
  readonly deadline: number;
  readonly streams = false;
  readonly share: Share;
  slot = -1;
  readonly #finish: Finish;

  constructor(method: Method, { call, term, share }: Opened, incoming: Incoming, finish: Finish) {
    this.method = method;
    this.call = call;
    this.incoming = incoming;
    this.deadline = term.deadline;
    this.share = share;
    this.#finish = finish;
  }

  end(error: HiveError): void {
    this.#finish(this, error);
    this.call.abort(error);
  }
}
