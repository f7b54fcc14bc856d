import { pause } from '../kernel/clock.ts';
import type { HiveError } from '../kernel/errors.ts';
import type { Rng } from '../kernel/rng.ts';
import type { Shape } from '../protocol/machine.ts';
import { Effects, type Perform } from './effects.ts';
import { Leader, type LeaderDeps } from './leader.ts';
import type { Envelope, LeaderLine, Sabotage } from './ports.ts';
import type { Replica } from './replica.ts';

export interface TenureDeps<M extends Shape> extends Omit<LeaderDeps<M>, 'envelope' | 'deposed'> {
  readonly line: Pick<LeaderLine, 'beat'>;
  readonly rng: Rng;
  readonly perform?: Perform | undefined;
  readonly sabotage?: Sabotage;
}

/** `ahead`: the state holds what was not committed, and must be thrown away. */
export type Left = 'ahead' | 'clean';

/** How often a leader says which epoch it leads, in ms: one that slept through a takeover hears of it so. */
const BEAT_MS = 1000;

/** How long a closing leader waits for the record in flight. */
const DRAIN_MS = 5000;

/** From the epoch that was won until the replica leads no more: the leader, its beats, and what it does outside. */
export class Tenure<M extends Shape> {
  readonly leader: Leader<M>;
  /** Resolves when it is deposed, or has drained. */
  readonly over: Promise<Left>;
  readonly #deps: TenureDeps<M>;
  readonly #replica: Replica<M>;
  readonly #epoch: number;
  readonly #ended = new AbortController();
  #leave: (left: Left) => void = () => {};
  #effects: Effects | undefined;

  constructor(deps: TenureDeps<M>, replica: Replica<M>, { writer, epoch }: Envelope) {
    this.#deps = deps;
    this.#replica = replica;
    this.#epoch = epoch;
    this.over = new Promise((resolve) => {
      this.#leave = resolve;
    });
    let counter = 0;
    const leaderDeps: LeaderDeps<M> = {
      ...deps,
      envelope: () => ({ id: `${writer}.${++counter}`, kind: 'group', epoch, writer }),
      deposed: (isAhead) => this.#leave(isAhead ? 'ahead' : 'clean'),
    };
    this.leader = new Leader<M>(replica, leaderDeps, deps.sabotage);
  }

  /** Does what is owed outside, from now on; that may ask the leader at once. */
  performEffects(): void {
    const { perform, clock, rng, settings, observer } = this.#deps;
    const { machine, state } = this.#replica;
    if (!machine.effects || !perform) return;
    const { maxEffects } = settings;
    const now = () => this.leader.now();
    const table = machine.effects(state);
    this.#effects = new Effects({ table, perform, epoch: this.#epoch, now, clock, rng, maxEffects, observer });
  }

  /** Looks for what is owed outside since the last commit. */
  committed(): void {
    this.#effects?.committed();
  }

  /** Says again and again that it leads. */
  beat(): void {
    if (this.#ended.signal.aborted) return;
    const { line, clock } = this.#deps;
    line.beat(this.#epoch);
    clock.after(BEAT_MS, () => this.beat());
  }

  /** Leaves when `closing` aborts, after what waits was decided. */
  drainsOn(closing: AbortSignal): void {
    const { clock } = this.#deps;
    const drain = () =>
      void Promise.race([this.leader.drained(), pause(clock, DRAIN_MS)]).then(() => this.#leave('clean'));
    if (closing.aborted) drain();
    else closing.addEventListener('abort', drain, { signal: this.#ended.signal });
  }

  /** Stops everything; `error` is for the record in flight. */
  end(error: HiveError): void {
    this.#ended.abort();
    this.#effects?.end();
    this.#effects = undefined;
    this.leader.end(error);
  }
}
