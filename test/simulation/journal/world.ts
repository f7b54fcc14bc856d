import type { Announcement, Observer, Sabotage } from '../../../libs/journal/ports.ts';
import { Replica } from '../../../libs/journal/replica.ts';
import { Runner } from '../../../libs/journal/runner.ts';
import { DEFAULT_SETTINGS } from '../../../libs/journal/settings.ts';
import { restore } from '../../../libs/journal/snapshots.ts';
import { HiveError, isForWantOfRoom } from '../../../libs/kernel/errors.ts';
import { pick, type Rng, seeded } from '../../../libs/kernel/rng.ts';
import type { Call } from '../../../libs/protocol/call.ts';
import { type Node, SimTime } from '../../../libs/testkit/sim/clock.ts';
import { SimLine } from '../../../libs/testkit/sim/line.ts';
import { type Faults, NO_FAULTS, SimSnapshots, SimStream } from '../../../libs/testkit/sim/log.ts';
import { type LedgerShape, ledger } from './ledger.ts';
import { dump, Truth } from './truth.ts';

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
const CLIENTS = 5;
const NO_ROOM = Symbol('no room');

interface Contender {
  node: Node;
  runner: Runner<LedgerShape>;
}

/** One seeded history: contenders, clients, watchers and misfortune, with every promise of the journal checked. */
export class World {
  readonly #rng: Rng;
  readonly #time = new SimTime();
  readonly #stream: SimStream;
  readonly #snapshots: SimSnapshots;
  readonly #line: SimLine;
  readonly #truth: Truth;
  readonly #sabotage: Sabotage;
  readonly #contenders: Contender[] = [];
  readonly #violations: string[] = [];
  readonly #acked = new Map<string, unknown>();
  /** Requests of callers who were told that there is no room, by whomever they asked, and let it be. */
  readonly #dropped: string[] = [];
  readonly #paid = new Set<string>();
  #highestTotal = 0;
  #epochAtTarget = 0;
  #running = 0;
  #healed = false;
  readonly stats = { acked: 0, epochs: 0, voided: 0, snapshots: 0, compacted: 0, reads: 0, watched: 0, noRoom: 0 };

  constructor(seed: number, sabotage: Sabotage = {}) {
    this.#rng = seeded(seed);
    this.#sabotage = sabotage;
    this.#stream = new SimStream(this.#time, this.#rng);
    this.#snapshots = new SimSnapshots(this.#time);
    this.#line = new SimLine(this.#time, this.#rng);
    this.#truth = new Truth(this.#stream.history);
  }

  /** Runs the history; answers what was violated. */
  async run(): Promise<readonly string[]> {
    this.#stream.faults = this.#misfortune();
    this.#line.lost = this.#rng() * 0.1;
    const contenders = 1 + pick(this.#rng, 3);
    for (let i = 0; i < contenders; i++) this.#contenders.push(this.#begin());
    for (let i = 0; i < CLIENTS; i++) void this.#client(i);
    for (let i = 0; i < 2; i++) void this.#watcher();
    this.#chaos();
    await this.#time.run(FAULTY_MS);
    this.#heal();
    await this.#time.run(this.#time.now + 20_000, () => this.#running === 0 && this.#settled());
    await this.#time.run(this.#time.now + 500); // whatever is still in flight lands
    this.#checkEnd();
    for (const { node } of this.#contenders) node.dead = true;
    this.stats.snapshots = this.#snapshots.ever.size;
    return this.#violations;
  }

  #misfortune(): Faults {
    const some = (most: number) => (this.#rng() < 0.5 ? 0 : this.#rng() * most);
    return {
      lost: some(0.08),
      late: some(0.08),
      ackLost: some(0.08),
      inProcess: some(0.05),
      repeated: some(0.1),
      full: some(0.05),
      readFails: some(0.1),
      followBreaks: some(0.5),
    };
  }

  #begin(): Contender {
    const node: Node = { dead: false, pausedUntil: 0, cutOff: undefined };
    const observer: Observer = {
      appending: () => undefined,
      count: (what) => {
        if (what === 'void') this.stats.voided++;
        if (what === 'takeover') this.stats.epochs++;
      },
      log: (level, message) => {
        if (level === 'error' && process.env['SIM_SEED']) console.log(Math.round(this.#time.now), message);
      },
    };
    const runner = new Runner<LedgerShape>({
      machine: ledger,
      federation: 'main',
      incarnation: 'one',
      log: this.#stream.log(node),
      snapshots: this.#snapshots.store(node),
      line: this.#line.line(node),
      announcer: { announce: (announcements) => this.#announced(announcements) },
      observer,
      clock: this.#time.clock(node, pick(this.#rng, 2000) - 1000),
      rng: this.#rng,
      settings: SETTINGS,
      soft: undefined,
      authenticate: () => ({ kind: 'operator', name: 'sim', key: 'k' }),
      perform: async (effect, fence) => {
        await new Promise<void>((resolve) => void this.#time.after(this.#rng() * 30, resolve, node));
        this.#pay(effect.id, fence.epoch);
        await runner.execute('settle', { effect: effect.id }, this.#call(undefined));
        return undefined;
      },
      sabotage: this.#sabotage,
    }).start();
    return { node, runner };
  }

  // ---- misfortune

  #chaos(): void {
    const next = () => {
      if (this.#healed) return;
      const victim = pick(this.#rng, this.#contenders.length);
      const fate = this.#rng();
      if (fate < 0.3) this.#crash(victim);
      else if (fate < 0.5)
        (this.#contenders[victim] as Contender).node.pausedUntil = this.#time.now + this.#rng() * 500;
      else if (fate < 0.65) this.#stray();
      else if (fate < 0.7) this.#damage();
      else if (fate < 0.75) this.#stream.leaderless(this.#rng() * 300);
      else if (fate < 0.85) this.#cutOff(victim);
      this.#time.after(60 + this.#rng() * 500, next);
    };
    this.#time.after(100 + this.#rng() * 300, next);
  }

  #cutOff(index: number): void {
    const { node } = this.#contenders[index] as Contender;
    this.#stream.cutOff(node, this.#rng() * 800, this.#snapshots.contents);
  }

  #crash(index: number): void {
    (this.#contenders[index] as Contender).node.dead = true;
    this.#time.after(this.#rng() * 200, () => {
      this.#contenders[index] = this.#begin();
    });
  }

  /** Something that is no record of the current leader: garbage, an old leader's, or one from a future that is not. */
  #stray(): void {
    const line = { type: 'line.appended', data: { tag: 'stray', n: 1_000_000 } };
    const body = Buffer.from(JSON.stringify({ t: 1, c: [{ p: 'x', e: [line] }] }));
    const envelopes = this.#stream.history.flatMap(({ envelope }) => (envelope ? [envelope] : []));
    const some = envelopes[pick(this.#rng, Math.max(1, envelopes.length))];
    const kind = pick(this.#rng, 3);
    if (!some || kind === 0) this.#stream.store(undefined, body);
    else if (kind === 1)
      this.#stream.store({ ...some, id: `stray-${this.#time.now}`, writer: 'nobody', kind: 'group' }, body);
    else this.#stream.store({ ...some, id: `stray-${this.#time.now}`, epoch: some.epoch + 500 }, body);
  }

  #damage(): void {
    const names = [...this.#snapshots.contents.keys()].sort();
    // One of two at most: with none left the journal rightly stops for good.
    if (names.length >= 2) this.#snapshots.damage(names.at(-1) as string);
  }

  #heal(): void {
    this.#healed = true;
    this.#stream.faults = NO_FAULTS;
    this.#line.lost = 0;
  }

  // ---- clients

  #call(request: Call['request'], signal = new AbortController().signal): Call {
    const trace = { traceparent: '', correlationId: 'c', hops: 0 };
    return {
      federation: 'main',
      principal: { kind: 'operator', name: 'sim', key: 'k' },
      token: 't',
      trace,
      request,
      signal,
    };
  }

  #pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.#time.after(ms, resolve));
  }

  #anyRunner(): Runner<LedgerShape> {
    return (this.#contenders[pick(this.#rng, this.#contenders.length)] as Contender).runner;
  }

  async #client(index: number): Promise<void> {
    this.#running++;
    for (let counter = 1; !this.#healed; counter++) {
      await this.#pause(this.#rng() * 120);
      if (this.#rng() < 0.25) await this.#readSomething();
      else await this.#write(`client-${index}`, counter);
    }
    this.#running--;
  }

  /**
   * Repeats one request until it is answered; a caller that hears nothing from a dead process asks another. Some let it be
   * when they have heard nothing but that there is no room.
   */
  async #write(client: string, counter: number): Promise<void> {
    const kind = this.#rng();
    const tag = `${kind < 0.1 ? 'bad' : 'tag'}-${client}-${counter}`;
    const name = kind < 0.85 ? 'append' : 'owe';
    const isBrief = this.#rng() < 0.3;
    for (let isOpen = false; ; ) {
      const answer = this.#anyRunner()
        .execute(name, { tag }, this.#call({ client, counter }))
        .then(
          (reply): unknown => reply,
          (error: HiveError) => {
            if (!isForWantOfRoom(error)) return error.retryable ? undefined : { code: error.code };
            this.stats.noRoom++;
            return NO_ROOM;
          },
        );
      const outcome = await Promise.race([answer, this.#pause(800).then(() => undefined)]);
      isOpen ||= outcome === undefined;
      if (outcome === NO_ROOM && isBrief && !isOpen) return void this.#dropped.push(`${client}:${counter}`);
      if (outcome !== undefined && outcome !== NO_ROOM) return this.#heard(`${client}:${counter}`, outcome);
      await this.#pause(20);
    }
  }

  #heard(request: string, outcome: unknown): void {
    const known = this.#truth.catchUp().requests.get(request);
    if (!known) return this.#violate(`${request} was answered ${JSON.stringify(outcome)} and is not in the log`);
    if (JSON.stringify(known.outcome) !== JSON.stringify(outcome)) {
      this.#violate(`${request} was answered ${JSON.stringify(outcome)}, the log has ${JSON.stringify(known.outcome)}`);
    }
    this.#acked.set(request, outcome);
    this.stats.acked++;
    const n = (outcome as { n?: number }).n ?? 0;
    this.#highestTotal = Math.max(this.#highestTotal, n);
  }

  async #readSomething(): Promise<void> {
    const linearizable = this.#rng() < 0.5;
    const before = this.#highestTotal;
    const answer = this.#anyRunner()
      .query('total', {}, this.#call(undefined), { linearizable })
      .catch(() => undefined);
    const read = await Promise.race([answer, this.#pause(800).then(() => undefined)]);
    if (!read) return;
    this.stats.reads++;
    const { last } = this.#stream;
    this.#truth.catchUp();
    if (read.revision > last) this.#violate(`a read has revision ${read.revision}, the log ends at ${last}`);
    else if (this.#truth.totals[read.revision] !== read.total) {
      this.#violate(`a read at ${read.revision} says ${read.total}, the log ${this.#truth.totals[read.revision]}`);
    }
    if (linearizable && read.total < before)
      this.#violate(`a linearizable read says ${read.total} after ${before} was acked`);
  }

  async #watcher(): Promise<void> {
    let from = 1;
    while (!this.#healed) {
      const control = new AbortController();
      const stop = this.#time.after(100 + this.#rng() * 600, () => control.abort());
      try {
        for await (const { revision, events } of this.#anyRunner().watch(from, control.signal)) {
          this.#watched(from, revision, events);
          from = revision;
          if (this.#rng() < 0.1) await this.#pause(this.#rng() * 200);
        }
      } catch (error) {
        if ((error as HiveError).reason === 'COMPACTED') {
          this.stats.compacted++;
          const list = await this.#anyRunner()
            .query('total', {}, this.#call(undefined))
            .catch(() => undefined);
          from = list?.revision ?? from;
        }
      }
      stop[Symbol.dispose]();
      await this.#pause(10);
    }
  }

  #watched(from: number, revision: number, events: readonly { type: string; data: object }[]): void {
    this.stats.watched++;
    const { revisions, events: known } = this.#truth.catchUp();
    const expected = revisions.find((one) => one > from);
    if (expected !== revision) this.#violate(`a watcher at ${from} saw ${revision} next, not ${expected}`);
    events.forEach(({ type, data }, index) => {
      const stands = known.get(`${revision}.${index}`);
      if (stands !== `${type} ${JSON.stringify(data)}`)
        this.#violate(`a watcher saw ${type} at ${revision}.${index}, the log has ${stands}`);
    });
  }

  // ---- the outside

  #announced(announcements: readonly Announcement[]): void {
    this.#truth.catchUp();
    for (const { type, json, at } of announcements) {
      const stands = this.#truth.events.get(`${at.revision}.${at.index}`);
      if (stands !== `${type} ${json}`)
        this.#violate(`${type} was announced at ${at.revision}.${at.index}, the log has ${stands}`);
    }
  }

  /** The target of effects refuses an epoch older than one that it has seen. */
  #pay(effect: string, epoch: number): void {
    if (epoch < this.#epochAtTarget) throw new HiveError('ABORTED', 'an older epoch');
    this.#epochAtTarget = epoch;
    if (!this.#truth.catchUp().debts.has(effect)) this.#violate(`${effect} was paid and is not owed in the log`);
    this.#paid.add(effect);
  }

  // ---- the end

  /** Does everybody know everything, and is nothing owed any more? */
  #settled(): boolean {
    return this.#contenders.every(({ runner, node }) => {
      if (node.dead || runner.revision < this.#stream.last) return false;
      if (runner.role !== 'leader' && runner.role !== 'standby') return false;
      return runner.state.effects.size === 0 && runner.state.lines.size === 0;
    });
  }

  #checkEnd(): void {
    this.#truth.catchUp();
    if (!this.#settled()) {
      const roles = this.#contenders.map(
        ({ runner }) => `${runner.role} at ${runner.revision} ${runner.failure?.message ?? ''}`,
      );
      this.#violate(
        `not settled at the end (${this.#running} clients run): ${roles.join(', ')}, the log ends at ${this.#stream.last}`,
      );
      return;
    }
    for (const [request, { times }] of this.#truth.requests) {
      if (times !== 1) this.#violate(`${request} is in the log ${times} times`);
    }
    for (const request of this.#truth.keptForWantOfRoom) this.#violate(`${request} was kept though there was no room`);
    for (const request of this.#dropped) {
      if (this.#truth.requests.has(request))
        this.#violate(`of ${request} nothing was done, it was said, and it is in the log`);
    }
    for (const request of this.#acked.keys()) {
      if (!this.#truth.requests.has(request)) this.#violate(`${request} was acked and is not in the log`);
    }
    for (const debt of this.#truth.debts) if (!this.#paid.has(debt)) this.#violate(`${debt} was never paid`);
    const whole = new Replica(ledger);
    for (const entry of this.#stream.history) whole.take(entry);
    if (whole.state.totals.get('lines')?.value !== (this.#truth.totals.at(-1) || undefined)) {
      this.#violate(
        `replay counts ${whole.state.totals.get('lines')?.value} lines, the log ${this.#truth.totals.at(-1)}`,
      );
    }
    const expected = dump(whole.tables());
    for (const { runner } of this.#contenders) {
      if (dump(ledger.tables(runner.state)) !== dump(ledger.tables(whole.state)))
        this.#violate(`a ${runner.role} differs from the log`);
    }
    for (const [name, content] of this.#snapshots.ever) {
      const replica = restore(ledger, name, content, 'one');
      for (const entry of this.#stream.history.slice(replica.seq)) replica.take(entry);
      if (dump(replica.tables()) !== expected) this.#violate(`replay from snapshot ${name} differs from the log`);
    }
  }

  #violate(what: string): void {
    if (this.#violations.length < 5) this.#violations.push(what);
  }
}
