import { CommanderError } from 'commander';
import { notPermitted, permissionViolation } from '../libs/bus/permission.ts';
import { HiveError } from '../libs/kernel/errors.ts';
import { defaultHome } from '../libs/sdk/keys.ts';
import type { GlobalOptions } from './context.ts';
import { forPeople } from './error-text.ts';
import { exitCodeOf } from './exit-codes.ts';
import { placeOf } from './place.ts';
import { plainText } from './printable.ts';
import { createProgram } from './program.ts';

const program = createProgram();

try {
  await program.parseAsync();
} catch (caught) {
  const violation = permissionViolation(caught);
  const error = violation ? notPermitted(violation) : caught;
  tell(error);
  // At once: what was interrupted may have left a connection half made, or an answer that nobody waits for.
  process.exit(exitCodeOf(error));
}

/** Where keys lie, as far as that can be known: an error about contexts must be told, too. */
function homeOf(options: GlobalOptions): string {
  try {
    return placeOf(options).home;
  } catch {
    return defaultHome();
  }
}

function tell(error: unknown): void {
  if (error instanceof CommanderError && /^commander\.(help|version)/.test(error.code)) return; // no faults
  const known = error instanceof CommanderError ? usage(error) : HiveError.from(error);
  if (known.message === 'interrupted') return;
  const message = forPeople(known, homeOf(program.opts<GlobalOptions>()));
  // In the form that programs asked for; the message stays the one for people.
  if (wantsJson()) console.error(JSON.stringify({ ...known.toJSON(), message }));
  else console.error(`hivebus: ${plainText(message)}`);
  if (known.code === 'INTERNAL' && process.env.HIVEBUS_DEBUG) console.error(error);
}

function usage({ message }: CommanderError): HiveError {
  const text = message
    .replace(/^error: /, '')
    .replace(/^command-argument value ('.*') is invalid for argument '(\S+)'/s, 'argument <$2> $1 is invalid')
    .replace(/(?<=Expected )0 arguments but got \d+/, 'options only')
    .replaceAll('\n', ' ')
    .replace(/\.$/, '');
  return new HiveError('INVALID_ARGUMENT', `${text} (--help says more)`);
}

/** Asked of the words themselves, too: a fault may come before the option was read. */
function wantsJson(): boolean {
  const words = process.argv.join(' ').split(' -- ')[0] ?? '';
  return program.opts<GlobalOptions>().output === 'json' || /\s(-o|--output)[ =]?json(\s|$)/.test(words);
}
