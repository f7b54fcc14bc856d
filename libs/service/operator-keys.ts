import { mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Clock } from '../kernel/clock.ts';
import { HiveError, quote } from '../kernel/errors.ts';
import { isName, NAME_RULE } from '../kernel/names.ts';
import { isPublicKey, thumbprint } from '../protocol/token.ts';
import type { KeyRing } from '../rpc/authenticate.ts';

/** How old an answer may be: an operator who was added or removed counts within this time, in milliseconds. */
const FRESH_MS = 2000;

const ENDING = '.pub';

/**
 * The operators' public keys: files `<name>.pub` of a folder, each with the base64url of the key's 32 bytes. The folder
 * is made when it is not there, and read again when somebody asks and the last look is older than two seconds.
 * Throws FAILED_PRECONDITION at the start, and keeps the last good answer later, for a file that holds something else.
 */
export function operatorKeys(
  folder: string,
  clock: Clock,
  onFault: (fault: HiveError) => void = () => {},
): KeyRing['operatorKey'] {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  let keys = readAll(folder);
  let readAt = clock.monotonic();
  return (kid) => {
    if (clock.monotonic() - readAt > FRESH_MS) {
      readAt = clock.monotonic();
      try {
        keys = readAll(folder);
      } catch (error) {
        onFault(HiveError.from(error));
      }
    }
    return keys.get(kid);
  };
}

function readAll(folder: string): Map<string, { name: string; publicKey: string }> {
  const names = readdirSync(folder).filter((file) => file.endsWith(ENDING));
  return new Map(
    names.map((file) => {
      const name = file.slice(0, -ENDING.length);
      const publicKey = readFileSync(join(folder, file), 'utf8').trim();
      if (isName(name) && isPublicKey(publicKey)) return [thumbprint(publicKey), { name, publicKey }];
      const what = isName(name)
        ? `must hold 43 characters of base64url, got ${quote(publicKey)}`
        : `its name ${NAME_RULE}`;
      throw new HiveError('FAILED_PRECONDITION', `operator key ${join(folder, file)}: ${what}`);
    }),
  );
}
