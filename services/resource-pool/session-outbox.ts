import type { HiveError } from '../../libs/kernel/errors.ts';
import type { Assignment } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type {
  SessionAnswer,
  SessionInventory,
  SessionOpened,
  SessionResponse,
} from '../../libs/wire/hivebus/pool/v1/session.ts';

/** Answers in one message, at most: each has a few KiB at most, a message 4 MiB. */
const MAX_ANSWERS = 256;
/** Of them large ones: two checkpoints, of up to 64 KiB of JSON each, or one task or group. */
const MAX_LARGE = 2;
/** With so many answers that were not taken, no more calls are. */
const FULL = 1024;
/** Assignments in one message, by the bytes of their JSON; as protobuf a list of small numbers is five times as long. */
const MAX_ASSIGNED_BYTES = 512 * 1024;
/** Assignments that wait, at most: an agent that does not read is not given more. The pool says them again. */
const MAX_ASSIGNMENTS = 1024;

interface Assigned {
  readonly assignment: Assignment;
  /** Of its JSON. */
  readonly bytes: number;
}

/**
 * What a session has to say: kept until the client takes it, and all that there is goes in one message. Bounded: a client
 * that takes no answers is not listened to, assignments have a limit, an inventory replaces the one before.
 */
export class SessionOutbox {
  #opened: SessionOpened | undefined;
  #inventory: SessionInventory | undefined;
  #answers: SessionAnswer[] = [];
  /** By task, attempt and whether it is a cancel: the same again is the same. */
  readonly #assignments = new Map<string, Assigned>();
  #failure: HiveError | undefined;
  #ended = false;
  #wake: (() => void) | undefined;
  #roomy: (() => void) | undefined;

  opened(opened: SessionOpened): void {
    this.#opened = opened;
    this.#tell();
  }

  answer(answer: SessionAnswer): void {
    this.#answers.push(answer);
    this.#tell();
  }

  /** False when too many wait. */
  assign(assignment: Assignment, bytes: number): boolean {
    const { task, attempt, cancel } = assignment;
    const key = `${task} ${attempt} ${cancel}`;
    if (this.#assignments.size >= MAX_ASSIGNMENTS && !this.#assignments.has(key)) return false;
    this.#assignments.set(key, { assignment, bytes });
    this.#tell();
    return true;
  }

  inventory(inventory: SessionInventory): void {
    this.#inventory = inventory;
    this.#tell();
  }

  /** Resolves when the client has taken enough of its answers to be asked for more; one who waits at a time. */
  async room(): Promise<void> {
    if (this.#answers.length < FULL) return;
    await new Promise<void>((resolve) => {
      this.#roomy = resolve;
    });
  }

  /** Nothing more comes: what is here goes out, and that is the end. */
  end(): void {
    this.#ended = true;
    this.#tell();
  }

  /** The session is broken off; the first reason counts. */
  fail(error: HiveError): void {
    this.#failure ??= error;
    this.#tell();
  }

  /** Message by message, as they are taken. Throws what it failed with. */
  async *messages(): AsyncGenerator<SessionResponse> {
    for (;;) {
      await this.#something();
      if (this.#failure) throw this.#failure;
      if (this.#isEmpty()) return;
      yield this.#take();
    }
  }

  async #something(): Promise<void> {
    if (this.#isEmpty() && !this.#ended && !this.#failure) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    // What is decided together is answered together: the rest of a group's answers is there when all promises have told.
    // Later, in the next turn, the group's announcements would go first.
    await new Promise<void>((resolve) => process.nextTick(resolve));
  }

  #take(): SessionResponse {
    const message: SessionResponse = { answers: this.#answers.splice(0, this.#fitting()), assignments: [] };
    if (this.#opened) message.opened = this.#opened;
    if (this.#inventory) message.inventory = this.#inventory;
    this.#opened = undefined;
    this.#inventory = undefined;
    if (this.#answers.length < FULL) this.#roomy?.();
    let bytes = 0;
    for (const [key, assigned] of this.#assignments) {
      bytes += assigned.bytes;
      if (bytes > MAX_ASSIGNED_BYTES && message.assignments.length > 0) break;
      message.assignments.push(assigned.assignment);
      this.#assignments.delete(key);
    }
    return message;
  }

  /** How many of the answers one message has room for. */
  #fitting(): number {
    let large = 0;
    const end = this.#answers.findIndex(({ getCheckpoint, getTask, getGroup, submitGroup }, i) => {
      if (getTask || getGroup || submitGroup) large += MAX_LARGE;
      else if (getCheckpoint) large++;
      return large > MAX_LARGE || i === MAX_ANSWERS;
    });
    return end < 0 ? MAX_ANSWERS : end;
  }

  #isEmpty(): boolean {
    return !this.#opened && !this.#inventory && this.#answers.length === 0 && this.#assignments.size === 0;
  }

  #tell(): void {
    this.#wake?.();
    this.#wake = undefined;
  }
}
