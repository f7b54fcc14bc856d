/** The oldest server that is supported: Debian's. */
export const OLDEST_NATS_SERVER = '2.9.10';

/** Compares the numbers of `major.minor.patch`; what follows them does not count. */
export function isAtLeast(version: string, wanted: string): boolean {
  const [a, b] = [version, wanted].map((text) => text.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10) || 0));
  for (let i = 0; i < 3; i++) {
    const difference = (a?.[i] ?? 0) - (b?.[i] ?? 0);
    if (difference !== 0) return difference > 0;
  }
  return true;
}
