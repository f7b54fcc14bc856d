const LISTENING = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `run`, which must not throw, once when `signal` aborts, unless `offAbort` came before. However many calls share
 * a signal, they have one listener on it: Node warns of a leak at more than ten, and looks at all of them for each new
 * one. A signal that has aborted already calls nobody.
 */
export function onAbort(signal: AbortSignal, run: () => void): void {
  if (signal.aborted) return;
  const known = LISTENING.get(signal);
  if (known) {
    known.add(run);
    return;
  }
  LISTENING.set(signal, new Set([run]));
  signal.addEventListener('abort', tellAll, { once: true });
}

/** Takes back what `onAbort` was given. After the last one nothing is left on the signal. */
export function offAbort(signal: AbortSignal, run: () => void): void {
  const known = LISTENING.get(signal);
  if (!known?.delete(run) || known.size > 0) return;
  LISTENING.delete(signal);
  signal.removeEventListener('abort', tellAll);
}

function tellAll(this: AbortSignal): void {
  for (const run of LISTENING.get(this) ?? []) run();
  LISTENING.delete(this);
}
