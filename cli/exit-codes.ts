import { CommanderError } from 'commander';
import { type Code, HiveError } from '../libs/kernel/errors.ts';

/** What a command's end says to a script. */
export const EXIT = {
  ok: 0,
  failed: 1,
  usage: 2,
  unreachable: 3,
  notFound: 4,
  denied: 5,
  interrupted: 130,
} as const;

export const EXIT_HELP = `
Exit codes:
  0    done
  1    failed or refused
  2    wrong usage
  3    nothing is running, or it cannot be reached
  4    what was asked for is not there
  5    denied: no key, a wrong key, or not the owner
  130  interrupted before it was done; what runs until Ctrl-C (events, watch,
       up, agent run, --hold) ends with 0`;

const BY_CODE: Partial<Record<Code, number>> = {
  CANCELLED: EXIT.interrupted,
  INVALID_ARGUMENT: EXIT.usage,
  NOT_FOUND: EXIT.notFound,
  PERMISSION_DENIED: EXIT.denied,
  UNAUTHENTICATED: EXIT.denied,
  UNAVAILABLE: EXIT.unreachable,
};

export function exitCodeOf(error: unknown): number {
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  // Others took it back: nobody here has interrupted anything.
  if (error instanceof HiveError && error.reason === 'REQUEST_WITHDRAWN') return EXIT.failed;
  return error instanceof HiveError ? (BY_CODE[error.code] ?? EXIT.failed) : EXIT.failed;
}
