import { pick } from '../../../libs/kernel/rng.ts';
import { type Faults, NO_FAULTS } from '../../../libs/testkit/sim/log.ts';
import type { Contender, Scene } from './scene.ts';

/** Everything that goes wrong in a history, until it is healed. */
export class Misfortune {
  readonly #scene: Scene;
  readonly #begin: () => Contender;

  /** `begin` starts a replica in the place of one that has crashed. */
  constructor(scene: Scene, begin: () => Contender) {
    this.#scene = scene;
    this.#begin = begin;
  }

  /** What the stream and the leader's line do to each message: drawn once, before anybody uses them. */
  ofMessages(): void {
    const { rng, stream, line } = this.#scene;
    const some = (most: number) => (rng() < 0.5 ? 0 : rng() * most);
    const faults: Faults = {
      lost: some(0.08),
      late: some(0.08),
      ackLost: some(0.08),
      inProcess: some(0.05),
      repeated: some(0.1),
      full: some(0.05),
      readFails: some(0.1),
      followBreaks: some(0.5),
    };
    stream.faults = faults;
    line.lost = rng() * 0.1;
  }

  /** What befalls the replicas, the stream and the snapshots, one thing after another. */
  ofProcesses(): void {
    const { rng, time } = this.#scene;
    const next = () => {
      if (this.#scene.isHealed) return;
      this.#strike();
      time.after(60 + rng() * 500, next);
    };
    time.after(100 + rng() * 300, next);
  }

  heal(): void {
    const { stream, line } = this.#scene;
    this.#scene.isHealed = true;
    stream.faults = NO_FAULTS;
    line.lost = 0;
  }

  #strike(): void {
    const { rng, time, stream, contenders } = this.#scene;
    const victim = pick(rng, contenders.length);
    const fate = rng();
    if (fate < 0.3) this.#crash(victim);
    else if (fate < 0.5) (contenders[victim] as Contender).node.pausedUntil = time.now + rng() * 500;
    else if (fate < 0.65) this.#stray();
    else if (fate < 0.7) this.#damage();
    else if (fate < 0.75) stream.leaderless(rng() * 300);
    else if (fate < 0.85) this.#cutOff(victim);
  }

  #crash(index: number): void {
    const { rng, time, contenders } = this.#scene;
    (contenders[index] as Contender).node.dead = true;
    time.after(rng() * 200, () => {
      contenders[index] = this.#begin();
    });
  }

  /** Something that is no record of the current leader: garbage, an old leader's, or one from a future that is not. */
  #stray(): void {
    const { rng, time, stream } = this.#scene;
    const line = { type: 'line.appended', data: { tag: 'stray', n: 1_000_000 } };
    const body = Buffer.from(JSON.stringify({ t: 1, c: [{ p: 'x', e: [line] }] }));
    const envelopes = stream.history.flatMap(({ envelope }) => (envelope ? [envelope] : []));
    const some = envelopes[pick(rng, Math.max(1, envelopes.length))];
    const kind = pick(rng, 3);
    if (!some || kind === 0) stream.store(undefined, body);
    else if (kind === 1) stream.store({ ...some, id: `stray-${time.now}`, writer: 'nobody', kind: 'group' }, body);
    else stream.store({ ...some, id: `stray-${time.now}`, epoch: some.epoch + 500 }, body);
  }

  #damage(): void {
    const { snapshots } = this.#scene;
    const names = [...snapshots.contents.keys()].sort();
    // One of two at most: with none left the journal rightly stops for good.
    if (names.length >= 2) snapshots.damage(names.at(-1) as string);
  }

  #cutOff(index: number): void {
    const { rng, stream, snapshots, contenders } = this.#scene;
    stream.cutOff((contenders[index] as Contender).node, rng() * 800, snapshots.contents);
  }
}
