import { randomId } from '../kernel/ids.ts';
import type { RequestId } from './call.ts';

/** A journal keeps a client's last 32 replies; half of it leaves room for answers that are on their way. */
const WINDOW = 16;

/** An id that is given out, and by which lane. */
export interface Ticket extends RequestId {
  readonly lane: number;
}

/**
 * Request ids for the calls of one process. An id's counter never runs more than 16 ahead of the lowest that is still
 * unanswered, so that a repeat always finds its first answer: with more calls at once there are more client ids.
 */
export class RequestIds {
  readonly #prefix: string;
  readonly #lanes: Lane[] = [];
  /** Numbers of lanes that may have room: all that have are among them. */
  readonly #open: number[] = [];

  /** `label` is for people; the ids are random, because a counter that starts again would get old answers. */
  constructor(label: string) {
    this.#prefix = `${label.slice(0, 32)}-${randomId(12)}`;
  }

  /** A new id. `release` it when its call is over. */
  take(): Ticket {
    for (let number = this.#open.at(-1); number !== undefined; number = this.#open.at(-1)) {
      const lane = this.#lanes[number] as Lane;
      const id = lane.take();
      if (id) return id;
      lane.isOpen = false;
      this.#open.pop();
    }
    const number = this.#lanes.length;
    const lane = new Lane(`${this.#prefix}-${number + 1}`, number);
    this.#lanes.push(lane);
    this.#open.push(number);
    return lane.take() as Ticket;
  }

  release(ticket: Ticket): void {
    const lane = this.#lanes[ticket.lane] as Lane;
    lane.release(ticket.counter);
    if (lane.isOpen || !lane.hasRoom) return;
    lane.isOpen = true;
    this.#open.push(ticket.lane);
  }
}

class Lane {
  /** Is it among those that may have room? */
  isOpen = true;
  readonly #client: string;
  readonly #number: number;
  /** The lowest counter that is unanswered or not given out yet. */
  #lowest = 1;
  #next = 1;
  /** Bit n: lowest + n is unanswered. */
  #open = 0;

  constructor(client: string, number: number) {
    this.#client = client;
    this.#number = number;
  }

  get hasRoom(): boolean {
    return this.#next - this.#lowest < WINDOW;
  }

  take(): Ticket | undefined {
    if (!this.hasRoom) return undefined;
    this.#open |= 1 << (this.#next - this.#lowest);
    return { client: this.#client, counter: this.#next++, lane: this.#number };
  }

  release(counter: number): void {
    this.#open &= ~(1 << (counter - this.#lowest));
    while (this.#lowest < this.#next && (this.#open & 1) === 0) {
      this.#open >>>= 1;
      this.#lowest++;
    }
  }
}
