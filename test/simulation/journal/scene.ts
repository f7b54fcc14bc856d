import type { Runner } from '../../../libs/journal/runner.ts';
import { pick, type Rng, seeded } from '../../../libs/kernel/rng.ts';
import type { Call, RequestId } from '../../../libs/protocol/call.ts';
import { callBy } from '../../../libs/testkit/call.ts';
import { type Node, SimTime } from '../../../libs/testkit/sim/clock.ts';
import { SimLine } from '../../../libs/testkit/sim/line.ts';
import { SimSnapshots, SimStream } from '../../../libs/testkit/sim/log.ts';
import type { LedgerShape } from './ledger.ts';
import { Truth } from './truth.ts';

/** A replica, and the process that it is in. */
export interface Contender {
  readonly node: Node;
  readonly runner: Runner<LedgerShape>;
}

/** What everybody in a history shares. */
export class Scene {
  readonly rng: Rng;
  readonly time = new SimTime();
  readonly stream: SimStream;
  readonly snapshots: SimSnapshots;
  readonly line: SimLine;
  readonly truth: Truth;
  readonly contenders: Contender[] = [];
  readonly stats = { acked: 0, epochs: 0, voided: 0, snapshots: 0, compacted: 0, reads: 0, watched: 0, noRoom: 0 };
  /** The first few promises that were not kept. */
  readonly violations: string[] = [];
  /** From now on nothing goes wrong, and nobody begins anything new. */
  isHealed = false;

  constructor(seed: number) {
    this.rng = seeded(seed);
    this.stream = new SimStream(this.time, this.rng);
    this.snapshots = new SimSnapshots(this.time);
    this.line = new SimLine(this.time, this.rng);
    this.truth = new Truth(this.stream.history);
  }

  violate(what: string): void {
    if (this.violations.length < 5) this.violations.push(what);
  }

  pause(ms: number): Promise<void> {
    return new Promise((resolve) => void this.time.after(ms, resolve));
  }

  anyRunner(): Runner<LedgerShape> {
    return (this.contenders[pick(this.rng, this.contenders.length)] as Contender).runner;
  }
}

export const callOf = (request?: RequestId): Call =>
  callBy({ kind: 'operator', name: 'sim', key: 'k' }, { token: 't', request });
