import { errors, type PermissionViolationError } from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';

/** What the server does not let our login do, when that is what an error of the client says. */
export function permissionViolation(error: unknown): PermissionViolationError | undefined {
  if (error instanceof errors.PermissionViolationError) return error;
  return error instanceof errors.RequestError ? permissionViolation(error.cause) : undefined;
}

/** In our words. Retryable: it passes as soon as the server's configuration is mended, and nothing was done. */
export function notPermitted({ operation, subject }: PermissionViolationError): HiveError {
  const what = operation === 'publish' ? `send on ${subject}` : `listen on ${subject}`;
  const mend = "name another login, or permit it there in the server's configuration";
  return new HiveError('PERMISSION_DENIED', `the NATS server does not let our login ${what}: ${mend}`, {
    ...{ reason: 'BUS_PERMISSION', retryable: true },
  });
}

/** Subjects that are remembered of one connection. */
const MAX_DENIED = 100;

/** What is sent again and again is refused again and again; each subject is told once while a connection stands. */
export class DeniedOnce {
  readonly #subjects = new Set<string>();

  /** Is it the first refusal of its subject, and are there not too many of others? */
  isNew({ subject }: PermissionViolationError): boolean {
    if (this.#subjects.has(subject) || this.#subjects.size >= MAX_DENIED) return false;
    this.#subjects.add(subject);
    return true;
  }

  /** What was refused may be permitted now. */
  forget(): void {
    this.#subjects.clear();
  }
}
