import { HiveError } from '../kernel/errors.ts';

/** What the lifecycle says; a pino logger fits. */
export interface LifecycleLog {
  info(fields: object, message: string): void;
  error(fields: object, message: string): void;
  fatal(fields: object, message: string): void;
}

export interface RunOptions {
  readonly log: LifecycleLog;
  /** How long `main` may take to end after the first signal, in milliseconds; then the process ends anyway. */
  readonly stopMs: number;
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143 } as const;

/**
 * Runs a process's main and ends the process with it; nobody else calls process.exit. `main` opens what it needs with
 * `await using`, waits for `signal`, and returns: everything is then closed in reverse order.
 * SIGTERM and SIGINT abort `signal`; a second one ends the process at once. What nobody caught is logged and ends it at
 * once, with exit code 1: nobody knows what its state is worth, and the sooner it is gone, the sooner another replica
 * leads. A main that fails is closed in order, with exit code 1.
 */
export function run(main: (signal: AbortSignal) => Promise<void>, options: RunOptions): void {
  const { log, stopMs } = options;
  const stopping = new AbortController();
  let exitCode = 0;
  const stop = () => {
    if (stopping.signal.aborted) return;
    setTimeout(() => {
      log.fatal({ stopMs }, 'stopping took too long, ending now');
      process.exit(1);
    }, stopMs).unref();
    stopping.abort();
  };
  const fail = (error: unknown) => {
    exitCode = 1;
    log.fatal(describe(error), error instanceof HiveError ? error.message : 'failed');
    stop();
  };
  const die = (what: string) => (error: unknown) => {
    log.fatal(describe(error), `${what}: ${error instanceof Error ? error.message : String(error)}; ending now`);
    process.exit(1);
  };
  for (const [name, code] of Object.entries(SIGNALS)) {
    process.on(name, () => {
      if (stopping.signal.aborted) process.exit(code);
      log.info({ signal: name }, 'stopping; a second signal ends at once');
      stop();
    });
  }
  process.on('uncaughtException', die('an error that nobody caught'));
  process.on('unhandledRejection', die('a rejection that nobody caught'));
  main(stopping.signal)
    .catch(fail)
    .finally(() => process.exit(exitCode));
}

/** Resolves when `signal` aborts: what a main waits for between opening and closing. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });

/** A refusal is told by its code; a defect with its stack. */
const describe = (error: unknown): object =>
  error instanceof HiveError ? { code: error.code, violations: error.violations } : { err: error };
