/** Timestamps as proto3 JSON has them, e.g. `2026-01-31T12:00:00.000Z`, of milliseconds since 1970. Pure. */
export const timestamp = (ms: number): string => new Date(ms).toISOString();

/** Milliseconds since 1970 of a proto3 JSON timestamp. */
export const timestampMs = (text: string): number => Date.parse(text);
