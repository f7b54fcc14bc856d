import { Command, Option } from 'commander';
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
import { addGroup } from './commands/group.ts';
import { addRebalance } from './commands/rebalance.ts';
import { addDeregisterSwarm, addRegisterSwarm } from './commands/register-swarm.ts';
import { addResource } from './commands/resource.ts';
import { addSet } from './commands/set.ts';
import { addStatus } from './commands/status.ts';
import { addTask } from './commands/task.ts';
import { addTrace } from './commands/trace.ts';
import { addUp } from './commands/up.ts';
import { addWatch } from './commands/watch.ts';
import { addExamples } from './examples.ts';
import { EXIT_HELP } from './exit-codes.ts';
import { configureHelp } from './help.ts';
import { FORMATS } from './output.ts';

const FIRST_STEPS = `
First steps, the first two in terminals of their own:
  hivebus up
  hivebus agent run --swarm code --type echo --exec cat
  hivebus task submit --swarm code --type echo --payload '{"hello": 1}' --wait
  hivebus status`;

/** The whole command line, before anything is parsed. */
export function createProgram(): Command {
  const program = configureHelp(new Command('hivebus'))
    .description('A federation control plane for agent swarms, on a message bus')
    .version(VERSION, '--version')
    .option(
      '--nats <url>',
      'where it runs (default: HIVEBUS_NATS, else .hivebus/run.json here or above, else port 4222)',
    )
    .option('--federation <name>', 'which federation (default: HIVEBUS_FEDERATION, else main)')
    .option(
      '--as <who>',
      'act as operator:NAME or swarm:NAME (default: HIVEBUS_AS, else the operator whose key is here)',
    )
    .option('--context <name>', 'a name for all of these (default: HIVEBUS_CONTEXT, else the one that is used)')
    .addOption(
      new Option(
        '-o, --output <format>',
        'for people (wide: all columns, however long the lines), for programs, or names alone',
      )
        .choices(FORMATS)
        .default('table'),
    )
    .addHelpText('after', FIRST_STEPS)
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
    addSet,
    addWatch,
    addExplain,
    addFederation,
    addRegisterSwarm,
    addDeregisterSwarm,
    addResource,
    addRebalance,
    addAgent,
    addTask,
    addGroup,
    addEvents,
    addTrace,
    addDoctor,
    addContext,
    addCompletion,
  ]) {
    add(program);
  }
  everywhere(program);
  addExamples(program);
  return program;
}

/** Commands made by `.command()` inherit no exit override. */
function everywhere(command: Command): void {
  command.exitOverride();
  command.commands.forEach(everywhere);
}
