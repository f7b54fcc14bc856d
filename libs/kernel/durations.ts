const UNITS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** Milliseconds of `250ms`, `30s`, `5m`, `1.5h` or `2d`; undefined when it is none of these. */
export function parseDuration(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text.trim());
  return match ? Number(match[1]) * (UNITS[match[2] as string] as number) : undefined;
}

/** A duration for people: `850ms`, `4.2s`, `3m10s`, `2h5m`, `3d4h`. */
export function formatDuration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)}ms`;
  if (ms < 60_000) return `${Number((ms / 1000).toFixed(1))}s`;
  const [big, small] = ms < 3_600_000 ? ['m', 's'] : ms < 86_400_000 ? ['h', 'm'] : ['d', 'h'];
  const whole = Math.floor(ms / (UNITS[big] as number));
  const rest = Math.floor((ms % (UNITS[big] as number)) / (UNITS[small] as number));
  return rest === 0 ? `${whole}${big}` : `${whole}${big}${rest}${small}`;
}
