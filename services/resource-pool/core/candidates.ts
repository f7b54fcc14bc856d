import type { WorkerClass } from './workers.ts';

/** `, of those 2 busy, 1 lent`: how many candidates each obstacle keeps away, without those that keep none; else empty. */
export function obstaclesText(counts: Readonly<Record<string, number>>): string {
  const parts = Object.entries(counts).filter(([, count]) => count > 0);
  return parts.length === 0 ? '' : `, of those ${parts.map(([what, count]) => `${count} ${what}`).join(', ')}`;
}

/** `, only of type a, b`: what the agents of these classes are of, where none is of the type that is asked for. */
export function otherTypesText(classes: Iterable<WorkerClass>): string {
  const types = [...new Set([...classes].map(({ type }) => type))].sort();
  if (types.length === 0) return '';
  const shown = types.slice(0, MAX_TYPES).join(', ');
  return `, only of type ${shown}${types.length > MAX_TYPES ? ', …' : ''}`;
}

const MAX_TYPES = 5;
