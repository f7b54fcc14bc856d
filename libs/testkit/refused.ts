import { HiveError } from '../kernel/errors.ts';

/** The error that a promise is refused with; throws where there is none, or one that is not ours. */
export async function refused(promise: Promise<unknown>): Promise<HiveError> {
  const error = await promise.then(
    () => undefined,
    (cause: unknown) => cause,
  );
  if (error instanceof HiveError) return error;
  throw new Error(`expected a HiveError, got ${error}`);
}
