import { accessSync, constants, mkdirSync } from 'node:fs';
import { HiveError } from '../kernel/errors.ts';

/**
 * Makes a folder, unless it is there, and sees that it can be written. `option` names another.
 * @throws HiveError FAILED_PRECONDITION, with the reason and what to do.
 */
export function requireFolder(folder: string, option: string): void {
  try {
    mkdirSync(folder, { recursive: true });
    accessSync(folder, constants.W_OK | constants.X_OK);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `cannot keep anything in ${folder} (${why}): see what is there and whose it is, or name another folder by ${option}`;
    throw new HiveError('FAILED_PRECONDITION', message, { reason: 'FOLDER_UNUSABLE', cause });
  }
}
