import type { Observer, Sabotage } from '../../../libs/journal/ports.ts';
import { Runner } from '../../../libs/journal/runner.ts';
import { DEFAULT_SETTINGS } from '../../../libs/journal/settings.ts';
import { pick } from '../../../libs/kernel/rng.ts';
import type { Node } from '../../../libs/testkit/sim/clock.ts';
import { Clients } from './clients.ts';
import { checkEnd, isSettled } from './ending.ts';
import { type LedgerShape, ledger } from './ledger.ts';
import { Misfortune } from './misfortune.ts';
import { Outside } from './outside.ts';
import { type Contender, callOf, Scene } from './scene.ts';

const SETTINGS = {
  ...DEFAULT_SETTINGS,
  probeMs: 30,
  probeTimeoutMs: 40,
  snapshotEveryRecords: 12,
  retainMs: 250,
  recentRecords: 4,
  forwardMs: 1500,
};
const FAULTY_MS = 2500;

/** One seeded history: contenders, clients, watchers and misfortune, with every promise of the journal checked. */
export class World {
  readonly #scene: Scene;
  readonly #clients: Clients;
  readonly #outside: Outside;
  readonly #misfortune: Misfortune;
  readonly #sabotage: Sabotage;

  constructor(seed: number, sabotage: Sabotage = {}) {
    this.#scene = new Scene(seed);
    this.#clients = new Clients(this.#scene);
    this.#outside = new Outside(this.#scene);
    this.#misfortune = new Misfortune(this.#scene, () => this.#begin());
    this.#sabotage = sabotage;
  }

  /** How often what has happened: a history in which nothing does shows nothing. */
  get stats(): Scene['stats'] {
    return this.#scene.stats;
  }

  /** Runs the history; answers what was violated. */
  async run(): Promise<readonly string[]> {
    const { rng, time, contenders, snapshots, stats, violations } = this.#scene;
    this.#misfortune.ofMessages();
    const replicas = 1 + pick(rng, 3);
    for (let i = 0; i < replicas; i++) contenders.push(this.#begin());
    this.#clients.start();
    this.#misfortune.ofProcesses();
    await time.run(FAULTY_MS);
    this.#misfortune.heal();
    await time.run(time.now + 20_000, () => this.#clients.running === 0 && isSettled(this.#scene));
    await time.run(time.now + 500); // whatever is still in flight lands
    checkEnd(this.#scene, this.#clients, this.#outside);
    for (const { node } of contenders) node.dead = true;
    stats.snapshots = snapshots.ever.size;
    return violations;
  }

  #begin(): Contender {
    const { rng, time, stream, snapshots, line } = this.#scene;
    const node: Node = { dead: false, pausedUntil: 0, cutOff: undefined };
    const runner = new Runner<LedgerShape>({
      machine: ledger,
      federation: 'main',
      incarnation: 'one',
      log: stream.log(node),
      snapshots: snapshots.store(node),
      line: line.line(node),
      announcer: { announce: (announcements) => this.#outside.announced(announcements) },
      observer: this.#observer(),
      clock: time.clock(node, pick(rng, 2000) - 1000),
      rng,
      settings: SETTINGS,
      soft: undefined,
      authenticate: () => ({ kind: 'operator', name: 'sim', key: 'k' }),
      perform: async (effect, fence) => {
        await new Promise<void>((resolve) => void time.after(rng() * 30, resolve, node));
        this.#outside.pay(effect.id, fence.epoch);
        await runner.execute('settle', { effect: effect.id }, callOf());
        return undefined;
      },
      sabotage: this.#sabotage,
    }).start();
    return { node, runner };
  }

  #observer(): Observer {
    const { stats, time } = this.#scene;
    return {
      appending: () => undefined,
      count: (what) => {
        if (what === 'void') stats.voided++;
        if (what === 'takeover') stats.epochs++;
      },
      log: (level, message) => {
        if (level === 'error' && process.env['SIM_SEED']) console.log(Math.round(time.now), message);
      },
    };
  }
}
