import { performance } from 'node:perf_hooks';

/** One line of the table. */
export interface Row {
  readonly what: string;
  /** What it is compared with, measured in the same run. */
  readonly floor: string;
  readonly measured: string;
  readonly ratio: string;
  /** The promise, and whether it is kept. */
  readonly target: string;
  readonly ok: boolean | undefined;
}

export interface Rate {
  readonly perSecond: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
}

/**
 * V8 compiles by use, and what does many things takes it so many calls: what serves for weeks is measured once it has. Peers and
 * floors get as many.
 */
export const WARM_UP = 40_000;

/** Keeps `inFlight` calls of `once` going until `count` have been answered. */
export async function measure(inFlight: number, count: number, once: (i: number) => Promise<unknown>): Promise<Rate> {
  const latencies = new Float64Array(count);
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const i = next++;
      const began = performance.now();
      await once(i);
      latencies[i] = performance.now() - began;
    }
  };
  const began = performance.now();
  await Promise.all(Array.from({ length: inFlight }, lane));
  return rateOf(latencies, performance.now() - began);
}

/** Sums up single latencies, in milliseconds, of calls that took `totalMs` together. */
export function rateOf(latencies: Float64Array, totalMs: number): Rate {
  const sorted = latencies.toSorted();
  const at = (share: number) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] as number;
  return { perSecond: (sorted.length / totalMs) * 1000, p50Ms: at(0.5), p99Ms: at(0.99) };
}

/** What was measured in turns, by name. */
export class Turns<Name extends string> {
  readonly #rates: Readonly<Record<Name, readonly Rate[]>>;

  constructor(rates: Readonly<Record<Name, readonly Rate[]>>) {
    this.#rates = rates;
  }

  /** The median of one of a name's figures. */
  median(name: Name, of: keyof Rate): number {
    return median(this.#rates[name].map((rate) => rate[of]));
  }

  /** The median of the ratios of neighbours, which saw the same machine: it wanders less than the figures do. */
  ratio(measured: Name, floor: Name, of: keyof Rate): number {
    const floors = this.#rates[floor];
    return median(this.#rates[measured].map((rate, i) => rate[of] / (floors[i] as Rate)[of]));
  }
}

/** Measures in turns, so that all see the same machine. */
export async function inTurns<Name extends string>(
  rounds: number,
  runs: Readonly<Record<Name, () => Promise<Rate>>>,
): Promise<Turns<Name>> {
  const names = Object.keys(runs) as Name[];
  const rates = Object.fromEntries(names.map((name) => [name, [] as Rate[]])) as Record<Name, Rate[]>;
  for (let round = 0; round < rounds; round++) {
    for (const name of names) rates[name].push(await runs[name]());
  }
  return new Turns(rates);
}

/** A clock that all processes of this machine share. */
export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN;
};

export const ms = (value: number): string => `${value.toFixed(value < 1 ? 3 : value < 100 ? 2 : 0)} ms`;
export const perSecond = (value: number): string => `${Math.round(value).toLocaleString('en')}/s`;
export const times = (value: number): string => `${value.toFixed(2)}x`;

/** Jain's index of what each has got: 1 = all the same, 1/n = one has everything. */
export const jain = (got: readonly number[]): number =>
  got.reduce((sum, x) => sum + x, 0) ** 2 / (got.length * got.reduce((sum, x) => sum + x * x, 0));
