/** A source of numbers, uniform in [0, 1). */
export type Rng = () => number;

/** Deterministic numbers from a seed: mulberry32 (T. Ettinger), 2^32 states, for simulations and jitter, not for keys. */
export function seeded(seed: number): Rng {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** An integer in [0, below). */
export const pick = (rng: Rng, below: number): number => Math.floor(rng() * below);
