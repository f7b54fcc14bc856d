import { Command, CommanderError, Option } from 'commander';
import { HiveError } from '../libs/kernel/errors.ts';
import { defaultHome } from '../libs/sdk/keys.ts';
import { VERSION } from '../libs/service/version.ts';
import { addAgent } from './commands/agent.ts';
import { addApply } from './commands/apply.ts';
import { addCompletion } from './commands/completion.ts';
import { addContext } from './commands/context.ts';
import { addDoctor } from './commands/doctor.ts';
import { addEvents } from './commands/events.ts';
import { addExplain } from './commands/explain.ts';
import { addFederation } from './commands/federation.ts';
import { addGet } from './commands/get.ts';
import { addDeregisterSwarm, addRegisterSwarm } from './commands/register-swarm.ts';
import { addResource } from './commands/resource.ts';
import { addStatus } from './commands/status.ts';
import { addTask } from './commands/task.ts';
import { addTrace } from './commands/trace.ts';
import { addUp } from './commands/up.ts';
import { addWatch } from './commands/watch.ts';
import type { GlobalOptions } from './context.ts';
import { forPeople } from './error-text.ts';
import { EXIT_HELP, exitCodeOf } from './exit-codes.ts';
import { configureHelp } from './help.ts';
import { FORMATS } from './output.ts';
import { placeOf } from './place.ts';

const program = configureHelp(new Command('hivebus'))
  .description('A federation control plane for agent swarms, on a message bus')
  .version(VERSION, '--version')
  .option('--nats <url>', 'where it runs (default: HIVEBUS_NATS, else .hivebus/run.json here or above, else port 4222)')
  .option('--federation <name>', 'which federation (default: HIVEBUS_FEDERATION, else main)')
  .option('--as <who>', 'act as operator:NAME or swarm:NAME (default: HIVEBUS_AS, else the operator whose key is here)')
  .option('--context <name>', 'a name for all of these (default: HIVEBUS_CONTEXT, else the one that is used)')
  .addOption(
    new Option('-o, --output <format>', 'for people, for programs, or names alone').choices(FORMATS).default('table'),
  )
  .addHelpText('after', EXIT_HELP)
  .enablePositionalOptions(false)
  // Told by `tell`, as all errors are.
  .configureOutput({ outputError: () => {} })
  .exitOverride();

for (const add of [
  addUp,
  addStatus,
  addApply,
  addGet,
  addWatch,
  addExplain,
  addFederation,
  addRegisterSwarm,
  addDeregisterSwarm,
  addResource,
  addAgent,
  addTask,
  addEvents,
  addTrace,
  addDoctor,
  addContext,
  addCompletion,
]) {
  add(program);
}
everywhere(program);

try {
  await program.parseAsync();
} catch (error) {
  tell(error);
  // At once: what was interrupted may have left a connection half made, or an answer that nobody waits for.
  process.exit(exitCodeOf(error));
}

/** Commands made by `.command()` inherit no exit override. */
function everywhere(command: Command): void {
  command.exitOverride();
  command.commands.forEach(everywhere);
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
  else console.error(`hivebus: ${message}`);
  if (known.code === 'INTERNAL' && process.env.HIVEBUS_DEBUG) console.error(error);
}

function usage({ message }: CommanderError): HiveError {
  const text = message
    .replace(/^error: /, '')
    .replaceAll('\n', ' ')
    .replace(/\.$/, '');
  return new HiveError('INVALID_ARGUMENT', `${text} (--help says more)`);
}

/** Asked of the words themselves, too: a fault may come before the option was read. */
function wantsJson(): boolean {
  const words = process.argv.join(' ').split(' -- ')[0] ?? '';
  return program.opts<GlobalOptions>().output === 'json' || /\s(-o|--output)[ =]?json(\s|$)/.test(words);
}
