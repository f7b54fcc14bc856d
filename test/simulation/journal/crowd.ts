import type { Observer } from '../../../libs/journal/ports.ts';
import { Runner } from '../../../libs/journal/runner.ts';
import { DEFAULT_SETTINGS } from '../../../libs/journal/settings.ts';
import { HiveError } from '../../../libs/kernel/errors.ts';
import { pick, type Rng, seeded } from '../../../libs/kernel/rng.ts';
import type { Call } from '../../../libs/protocol/call.ts';
import type { Principal } from '../../../libs/protocol/principal.ts';
import { callBy } from '../../../libs/testkit/call.ts';
import { type Node, SimTime } from '../../../libs/testkit/sim/clock.ts';
import { SimLine } from '../../../libs/testkit/sim/line.ts';
import { SimSnapshots, SimStream } from '../../../libs/testkit/sim/log.ts';
import { type LedgerShape, roomyLedger } from './ledger.ts';

const SETTINGS = { ...DEFAULT_SETTINGS, maxQueue: 200, maxGroup: 8, maxEffects: 16, forwardMs: 5000 };
const LASTS_MS = 800;
/** Of one who is greedy: two of them are more than all the places there are. */
const BURST = 120;
const MODEST = 2;

/** Of the ledger: `append` brings new work. */
type Name = 'append' | 'owe';

/** What became of a caller's commands. */
interface Fared {
  done: number;
  /** Refused for want of room. */
  refused: number;
  otherwise: string[];
  longestMs: number;
}

/**
 * Callers who keep the leader's queue as full as they can, from any replica, beside others who ask for one thing after the
 * other. Nothing else goes wrong.
 */
export class Crowd {
  readonly #rng: Rng;
  readonly #time = new SimTime();
  readonly #runners: Runner<LedgerShape>[] = [];
  readonly #callers = new Map<string, Principal>();
  #requests = 0;
  #running = 0;
  readonly greedy: Fared[] = [];
  readonly modest: Fared[] = [];
  /** The services' own commands. */
  readonly own = nothing();

  constructor(seed: number) {
    this.#rng = seeded(seed);
    const stream = new SimStream(this.#time, this.#rng);
    const snapshots = new SimSnapshots(this.#time);
    const line = new SimLine(this.#time, this.#rng);
    for (let i = 0; i < 2; i++) {
      const node: Node = { dead: false, pausedUntil: 0, cutOff: undefined };
      const runner: Runner<LedgerShape> = new Runner<LedgerShape>({
        ...{ machine: roomyLedger, federation: 'main', incarnation: 'one', settings: SETTINGS, soft: undefined },
        ...{ log: stream.log(node), snapshots: snapshots.store(node), line: line.line(node), observer: SILENT },
        ...{ announcer: { announce: () => {} }, clock: this.#time.clock(node, 0), rng: this.#rng },
        authenticate: (token) => this.#principal(token),
        perform: async ({ id }) => {
          const call = { ...this.#call(''), principal: { kind: 'service', name: 'ledger' } } as const;
          await this.#counted(this.own, () => runner.execute('settle', { effect: id }, call));
          return undefined;
        },
      }).start();
      this.#runners.push(runner);
    }
  }

  async run(): Promise<void> {
    const greedy = 1 + pick(this.#rng, 3);
    await this.#time.run(1000); // one leads by then, and the other has given up to campaign
    const endsAt = this.#time.now + LASTS_MS;
    const name = this.#rng() < 0.5 ? 'append' : 'owe';
    for (let i = 0; i < greedy; i++) void this.#flood(`greedy-${i}`, name, endsAt);
    for (let i = 0; i < MODEST; i++) void this.#ask(`modest-${i}`, name, endsAt);
    await this.#time.run(endsAt + 10_000, () => this.#time.now > endsAt && this.#running === 0);
  }

  /** Asks for more than there is room for, again and again, whatever it is told. */
  async #flood(caller: string, name: Name, endsAt: number): Promise<void> {
    const fared = nothing();
    this.greedy.push(fared);
    while (this.#time.now < endsAt) {
      for (let i = 0; i < BURST; i++) void this.#write(fared, caller, name);
      await this.#pause(20 + this.#rng() * 20);
    }
  }

  async #ask(caller: string, name: Name, endsAt: number): Promise<void> {
    const fared = nothing();
    this.modest.push(fared);
    while (this.#time.now < endsAt) {
      await this.#pause(this.#rng() * 20);
      await this.#write(fared, caller, name);
    }
  }

  #write(fared: Fared, caller: string, name: Name): Promise<void> {
    const runner = this.#runners[pick(this.#rng, this.#runners.length)] as Runner<LedgerShape>;
    const tag = `${caller}-${++this.#requests}`;
    return this.#counted(fared, () => runner.execute(name, { tag }, this.#call(caller)));
  }

  async #counted(fared: Fared, ask: () => Promise<unknown>): Promise<void> {
    const since = this.#time.now;
    this.#running++;
    try {
      await ask();
      fared.done++;
      fared.longestMs = Math.max(fared.longestMs, this.#time.now - since);
    } catch (error) {
      const { code, message } = HiveError.from(error);
      if (code === 'RESOURCE_EXHAUSTED') fared.refused++;
      else fared.otherwise.push(message);
    }
    this.#running--;
  }

  /** A token is here the name of who has it. */
  #principal(token: string): Principal {
    const known = this.#callers.get(token);
    const principal = known ?? { kind: 'operator', name: token, key: token };
    this.#callers.set(token, principal);
    return principal;
  }

  #call(token: string): Call {
    return callBy(this.#principal(token), { token });
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#time.after(ms, resolve));
  }
}

const nothing = (): Fared => ({ done: 0, refused: 0, otherwise: [], longestMs: 0 });
const SILENT: Observer = { appending: () => undefined, count: () => {}, log: () => {} };
