import { type HiveError, isForWantOfRoom } from '../../../libs/kernel/errors.ts';
import { callOf, type Scene } from './scene.ts';

const CLIENTS = 5;
const WATCHERS = 2;
/** Who asks by hand, without request ids. */
const STRANGERS = 2;
/** How long a client waits for one answer before it asks another replica, in milliseconds. */
const ANSWER_MS = 800;
const NO_ROOM = Symbol('no room');

/** nothing: no word, or that nobody knows. */
export type Heard = 'done' | 'not done' | 'nothing';

const OPEN = new Set(['OUTCOME_UNKNOWN', 'NO_ANSWER']);
/** That there is no room may be said by a leader who is deposed and does not know it, while his successor does it. */
const heardOf = (error: HiveError): Heard =>
  OPEN.has(error.reason ?? '') || isForWantOfRoom(error) ? 'nothing' : 'not done';

/** Who writes, reads and watches until the history is healed; what each is told is held against the log. */
export class Clients {
  /** What requests were answered, by their ids. */
  readonly acked = new Map<string, unknown>();
  /** Requests of callers who were told that there is no room, by whomever they asked, and let it be. */
  readonly dropped: string[] = [];
  /** What was heard of commands without a request id, by the tags of their lines. */
  readonly once = new Map<string, Heard>();
  /** How many still wait for an answer. */
  running = 0;
  readonly #scene: Scene;
  #highestTotal = 0;

  constructor(scene: Scene) {
    this.#scene = scene;
  }

  start(): void {
    for (let i = 0; i < CLIENTS; i++) void this.#client(i);
    for (let i = 0; i < STRANGERS; i++) void this.#stranger(`stranger-${i}`);
    for (let i = 0; i < WATCHERS; i++) void this.#watcher();
  }

  /** Asks for each thing once, for a time, and takes what it hears. */
  async #stranger(name: string): Promise<void> {
    const scene = this.#scene;
    this.running++;
    for (let n = 1; !scene.isHealed; n++) {
      await scene.pause(scene.rng() * 800);
      const tag = `${name}-${n}`;
      this.once.set(tag, 'nothing');
      const control = new AbortController();
      const answer = scene
        .anyRunner()
        .execute('append', { tag }, { ...callOf(), signal: control.signal })
        .then((): Heard => 'done', heardOf);
      await Promise.race([answer.then((heard) => this.once.set(tag, heard)), scene.pause(ANSWER_MS)]);
      control.abort();
    }
    this.running--;
  }

  async #client(index: number): Promise<void> {
    const { rng } = this.#scene;
    this.running++;
    for (let counter = 1; !this.#scene.isHealed; counter++) {
      await this.#scene.pause(rng() * 120);
      if (rng() < 0.25) await this.#read();
      else await this.#write(`client-${index}`, counter);
    }
    this.running--;
  }

  /**
   * Repeats one request until it is answered; a caller that hears nothing from a dead process asks another. Some let it be
   * when they have heard nothing but that there is no room.
   */
  async #write(client: string, counter: number): Promise<void> {
    const { rng, stats } = this.#scene;
    const kind = rng();
    const tag = `${kind < 0.1 ? 'bad' : 'tag'}-${client}-${counter}`;
    const name = kind < 0.85 ? 'append' : 'owe';
    const isBrief = rng() < 0.3;
    for (let isOpen = false; ; ) {
      const answer = this.#scene
        .anyRunner()
        .execute(name, { tag }, callOf({ client, counter }))
        .then(
          (reply): unknown => reply,
          (error: HiveError) => {
            if (!isForWantOfRoom(error)) return error.retryable ? undefined : { code: error.code };
            stats.noRoom++;
            return NO_ROOM;
          },
        );
      const outcome = await Promise.race([answer, this.#scene.pause(ANSWER_MS).then(() => undefined)]);
      isOpen ||= outcome === undefined;
      if (outcome === NO_ROOM && isBrief && !isOpen) return void this.dropped.push(`${client}:${counter}`);
      if (outcome !== undefined && outcome !== NO_ROOM) return this.#heard(`${client}:${counter}`, outcome);
      await this.#scene.pause(20);
    }
  }

  #heard(request: string, outcome: unknown): void {
    const scene = this.#scene;
    const known = scene.truth.catchUp().requests.get(request);
    if (!known) return scene.violate(`${request} was answered ${JSON.stringify(outcome)} and is not in the log`);
    if (JSON.stringify(known.outcome) !== JSON.stringify(outcome)) {
      scene.violate(`${request} was answered ${JSON.stringify(outcome)}, the log has ${JSON.stringify(known.outcome)}`);
    }
    this.acked.set(request, outcome);
    scene.stats.acked++;
    const n = (outcome as { n?: number }).n ?? 0;
    this.#highestTotal = Math.max(this.#highestTotal, n);
  }

  async #read(): Promise<void> {
    const scene = this.#scene;
    const linearizable = scene.rng() < 0.5;
    const before = this.#highestTotal;
    const answer = scene
      .anyRunner()
      .query('total', {}, callOf(), { linearizable })
      .catch(() => undefined);
    const read = await Promise.race([answer, scene.pause(ANSWER_MS).then(() => undefined)]);
    if (!read) return;
    scene.stats.reads++;
    const { last } = scene.stream;
    const { totals } = scene.truth.catchUp();
    if (read.revision > last) scene.violate(`a read has revision ${read.revision}, the log ends at ${last}`);
    else if (totals[read.revision] !== read.total) {
      scene.violate(`a read at ${read.revision} says ${read.total}, the log ${totals[read.revision]}`);
    }
    if (linearizable && read.total < before)
      scene.violate(`a linearizable read says ${read.total} after ${before} was acked`);
  }

  async #watcher(): Promise<void> {
    const scene = this.#scene;
    let from = 1;
    while (!scene.isHealed) {
      const control = new AbortController();
      const stop = scene.time.after(100 + scene.rng() * 600, () => control.abort());
      try {
        for await (const { revision, events } of scene.anyRunner().watch(from, control.signal)) {
          this.#watched(from, revision, events);
          from = revision;
          if (scene.rng() < 0.1) await scene.pause(scene.rng() * 200);
        }
      } catch (error) {
        if ((error as HiveError).reason === 'COMPACTED') {
          scene.stats.compacted++;
          const list = await scene
            .anyRunner()
            .query('total', {}, callOf())
            .catch(() => undefined);
          from = Math.max(1, list?.revision ?? from); // 0 would be: from now on
        }
      }
      stop[Symbol.dispose]();
      await scene.pause(10);
    }
  }

  #watched(from: number, revision: number, events: readonly { type: string; data: object }[]): void {
    const scene = this.#scene;
    scene.stats.watched++;
    const { revisions, events: known } = scene.truth.catchUp();
    const expected = revisions.find((one) => one > from);
    if (expected !== revision) scene.violate(`a watcher at ${from} saw ${revision} next, not ${expected}`);
    events.forEach(({ type, data }, index) => {
      const stands = known.get(`${revision}.${index}`);
      if (stands !== `${type} ${JSON.stringify(data)}`)
        scene.violate(`a watcher saw ${type} at ${revision}.${index}, the log has ${stands}`);
    });
  }
}
