import type { Announcement } from '../../../libs/journal/ports.ts';
import { HiveError } from '../../../libs/kernel/errors.ts';
import type { Scene } from './scene.ts';

/** Who hears announcements, and what effects are done at; both are held against the log. */
export class Outside {
  /** Effects that were done, by id. */
  readonly paid = new Set<string>();
  readonly #scene: Scene;
  #epoch = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  announced(announcements: readonly Announcement[]): void {
    const { events } = this.#scene.truth.catchUp();
    for (const { type, json, at } of announcements) {
      const stands = events.get(`${at.revision}.${at.index}`);
      if (stands !== `${type} ${json}`)
        this.#scene.violate(`${type} was announced at ${at.revision}.${at.index}, the log has ${stands}`);
    }
  }

  /** The target of effects refuses an epoch older than one that it has seen. */
  pay(effect: string, epoch: number): void {
    if (epoch < this.#epoch) throw new HiveError('ABORTED', 'an older epoch');
    this.#epoch = epoch;
    if (!this.#scene.truth.catchUp().debts.has(effect))
      this.#scene.violate(`${effect} was paid and is not owed in the log`);
    this.paid.add(effect);
  }
}
