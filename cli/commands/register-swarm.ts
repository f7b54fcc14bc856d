import type { Command } from 'commander';
import { InvalidArgumentError } from 'commander';
import { systemClock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { keepAlive } from '../../libs/sdk/swarm.ts';
import type { Capability, Swarm } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { keyPlace } from '../key-place.ts';
import { SWARMS } from '../kinds/swarms.ts';
import { orMeant } from '../unknown-names.ts';
import { list } from '../values.ts';

export interface RegisterOptions {
  project?: string;
  endpoint?: string;
  region?: string;
  tag?: string[];
  offer?: Capability[];
  stay?: boolean;
}

export function addRegisterSwarm(program: Command): void {
  registerOptions(
    program.command('register-swarm').description('register a swarm or update it; makes its key at first'),
  )
    .argument('<name>', "the swarm's name")
    .action(action(runRegister, { heedsSignal: true }));
}

export function addDeregisterSwarm(program: Command): void {
  program
    .command('deregister-swarm')
    .description('remove a swarm with its tasks, agents and leases; its name is free then. By its key or an operator')
    .argument('<name>', "the swarm's name")
    .action(action(deregister));
}

async function deregister(context: Context, name: string): Promise<void> {
  const work = async (hive: Hive) => {
    const answer = await orMeant(hive, SWARMS, name, hive.registry.deregisterSwarm({ name }));
    context.output.data(answer, () => `swarm ${name} is removed from ${context.federation}`);
  };
  await withHive(context, work, { kind: 'swarm', swarm: name });
}

const HELP = `
Of a swarm that is there, what is not named stays as it is; an empty value takes
it away.`;

export function registerOptions(command: Command): Command {
  return command
    .option('--project <text>', 'the project that it belongs to')
    .option('--endpoint <url>', 'where its queen answers')
    .option('--region <name>', 'where it runs')
    .option('--tag <tag>', 'a free tag; may be repeated', list)
    .option('--offer <type[:capacity[:skill,…]]>', 'agents that it has, e.g. coder:4:lint,fix; may be repeated', offer)
    .option('--stay', 'stay and send its heartbeats until interrupted')
    .addHelpText('after', HELP);
}

/** The swarm itself registers: with its own key, which is made now if there is none. */
export async function runRegister(context: Context, name: string, options: RegisterOptions): Promise<void> {
  const { output, signal } = context;
  await using hive = await context.connectAs({ kind: 'swarm', swarm: name });
  const known = await registered(hive, name);
  const answer = await hive.registry.registerSwarm({
    name,
    project: options.project ?? known?.project ?? '',
    queenEndpoint: options.endpoint ?? known?.queenEndpoint ?? '',
    region: options.region ?? known?.region ?? '',
    tags: options.tag ?? known?.tags ?? [],
    capabilities: options.offer ?? known?.capabilities ?? [],
  });
  output.data(answer, () => `swarm ${name} is ${answer.created ? 'registered' : 'updated'} in ${context.federation}`);
  if (answer.created) output.note(`its key is kept in ${keyPlace(context, name)}`);
  if (!options.stay) return;
  const { intervalMs } = await hive.registry.heartbeat({ swarm: name });
  output.note(`sending heartbeats every ${intervalMs} ms; Ctrl-C ends them`);
  await keepAlive(hive, name, intervalMs, undefined, systemClock, signal);
  output.note(`no more heartbeats: swarm ${name} stays registered, and is shown as unreachable`);
}

/** The swarm as it was registered last; undefined = not at all. */
async function registered(hive: Hive, name: string): Promise<Swarm | undefined> {
  try {
    return (await hive.registry.getSwarm({ name, linearizable: true })).swarm;
  } catch (error) {
    if (error instanceof HiveError && error.code === 'NOT_FOUND') return undefined;
    throw error;
  }
}

/** `type[:capacity[:skill,…]]`, or nothing for no offers. */
function offer(value: string, before: Capability[] = []): Capability[] {
  if (value === '') return [];
  const [agentType = '', capacity = '1', skills = '', ...rest] = value.split(':');
  if (agentType === '' || !/^\d+$/.test(capacity) || rest.length > 0) {
    throw new InvalidArgumentError('It must be TYPE, TYPE:CAPACITY or TYPE:CAPACITY:SKILL,SKILL.');
  }
  return [...before, { agentType, capacity: Number(capacity), skills: list(skills), specializations: [] }];
}
