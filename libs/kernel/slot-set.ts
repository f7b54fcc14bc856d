/** What may be in one SlotSet at a time. */
export interface Slotted {
  /** Its place, kept by the set; -1 = in none. */
  slot: number;
}

/**
 * A set for what comes and goes all the time, such as calls that are under way. A Map or a Set makes a new table each time
 * that it has filled up with what was deleted, and in V8 the old table refers to the new one and to all that was in
 * it: once the collector has moved one of them among what is old, everything that comes after is kept and copied, too,
 * until the whole heap is gone through. For a busy server that was half of all that the collector did.
 */
export class SlotSet<T extends Slotted> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  has(member: T): boolean {
    return member.slot >= 0 && this.#members[member.slot] === member;
  }

  add(member: T): void {
    if (!this.has(member)) member.slot = this.#members.push(member) - 1;
  }

  /** False when it was not there. The last one takes its place. */
  delete(member: T): boolean {
    if (!this.has(member)) return false;
    const last = this.#members.pop() as T;
    if (last !== member) {
      this.#members[member.slot] = last;
      last.slot = member.slot;
    }
    member.slot = -1;
    return true;
  }

  /** All of them as they are now, in no order. */
  all(): T[] {
    return [...this.#members];
  }
}
