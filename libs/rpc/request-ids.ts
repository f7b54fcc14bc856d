import { randomId } from '../kernel/ids.ts';
import type { RequestId } from '../protocol/call.ts';

/** A journal keeps a client's last 32 replies; half of it leaves room for answers that are on their way. */
const WINDOW = 16;

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
  take(): RequestId {
    for (let number = this.#open.at(-1); number !== undefined; number = this.#open.at(-1)) {
      const lane = this.#lanes[number] as Lane;
      const id = lane.take();
      if (id) return id;
      lane.isOpen = false;
      this.#open.pop();
    }
    const lane = new Lane(`${this.#prefix}-${this.#lanes.length + 1}`);
    this.#open.push(this.#lanes.push(lane) - 1);
    return lane.take() as RequestId;
  }

  release(id: RequestId): void {
    const number = Number(id.client.slice(this.#prefix.length + 1)) - 1;
    const lane = this.#lanes[number];
    if (!lane) return;
    lane.release(id.counter);
    if (lane.isOpen || !lane.hasRoom) return;
    lane.isOpen = true;
    this.#open.push(number);
  }
}

class Lane {
  /** Is it among those that may have room? */
  isOpen = true;
  readonly #client: string;
  /** The lowest counter that is unanswered or not given out yet. */
  #lowest = 1;
  #next = 1;
  /** Bit n: lowest + n is unanswered. */
  #open = 0;

  constructor(client: string) {
    this.#client = client;
  }

  get hasRoom(): boolean {
    return this.#next - this.#lowest < WINDOW;
  }

  take(): RequestId | undefined {
    if (!this.hasRoom) return undefined;
    this.#open |= 1 << (this.#next - this.#lowest);
    return { client: this.#client, counter: this.#next++ };
  }

  release(counter: number): void {
    this.#open &= ~(1 << (counter - this.#lowest));
    while (this.#lowest < this.#next && (this.#open & 1) === 0) {
      this.#open >>>= 1;
      this.#lowest++;
    }
  }
}
