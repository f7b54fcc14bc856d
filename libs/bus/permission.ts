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
