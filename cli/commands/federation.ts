import { type Command, Option } from 'commander';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { AGENTS } from '../kinds/agents.ts';
import { FEDERATIONS } from '../kinds/federations.ts';
import { kindTable } from '../kinds/kind.ts';
import { LEASES } from '../kinds/leases.ts';
import { SWARMS } from '../kinds/swarms.ts';
import { fields } from '../output.ts';
import { allAgents, allSwarms } from '../queries.ts';
import { duration, word } from '../values.ts';
import { addList } from './list.ts';
import { type RegisterOptions, registerOptions, runRegister } from './register-swarm.ts';

export function addFederation(program: Command): void {
  const federation = program.command('federation').description('groups of swarms that work together');
  federation
    .command('init')
    .description('create a federation, as an operator; repeating it changes nothing')
    .argument('[name]', 'its name (default: that of --federation)')
    .option('--description <text>', 'for people', '')
    .addOption(
      new Option('--join <policy>', 'who may register a new swarm').choices(['open', 'operator']).default('open'),
    )
    .option('--remove-after <duration>', 'remove swarms that are unreachable for so long (default: never)', duration)
    .action(action(init));
  registerOptions(federation.command('join').description('make a key for a swarm and register the swarm with it'))
    .requiredOption('--swarm <name>', "the swarm's name")
    .action(action(join, { heedsSignal: true }));
  federation.command('status').description('a federation in numbers').action(action(status));
  federation
    .command('swarms')
    .description('the swarms of a federation')
    .option('--tag <tag...>', 'only those with all of these tags')
    .option('--type <type>', 'only those that have agents of this type', '')
    .action(action(swarms));
  addList(federation, FEDERATIONS);
  federation.command('resources').description('the agents of all swarms, and who lends whom').action(action(resources));
}

interface InitOptions {
  description: string;
  join: 'open' | 'operator';
  removeAfter?: number;
}

async function init(context: Context, given: string | undefined, options: InitOptions): Promise<void> {
  const name = given ?? context.federation;
  await withHive(context, async (hive) => {
    const answer = await hive.registry.initFederation({
      name,
      description: options.description,
      joinPolicy: options.join === 'operator' ? 'JOIN_POLICY_OPERATOR' : 'JOIN_POLICY_OPEN',
      removeAfterMs: options.removeAfter ?? 0,
    });
    context.output.data(answer, () => `federation ${name} ${answer.created ? 'is created' : 'was there already'}`);
  });
}

const join = (context: Context, options: RegisterOptions & { swarm: string }): Promise<void> =>
  runRegister(context, options.swarm, options);

async function status(context: Context): Promise<void> {
  await withHive(context, async (hive) => {
    const answer = await hive.registry.getFederation({});
    const { federation, healthy, suspect, unreachable } = answer;
    context.output.data(answer, () =>
      fields([
        ['federation', federation?.name ?? ''],
        ['description', federation?.description || '-'],
        ['who may join', word(federation?.joinPolicy ?? 'JOIN_POLICY_OPEN', 'JOIN_POLICY')],
        ['swarms', `${healthy} healthy, ${suspect} suspect, ${unreachable} unreachable`],
      ]),
    );
  });
}

async function swarms(context: Context, options: { tag?: string[]; type: string }): Promise<void> {
  await withHive(context, async (hive) => {
    const found = await allSwarms(hive, { tags: options.tag ?? [], agentType: options.type });
    const isFiltered = options.type !== '' || options.tag !== undefined;
    const none = isFiltered ? 'no swarm has that' : SWARMS.none;
    context.output.data(found, () => (found.length === 0 ? none : kindTable(SWARMS, found)));
  });
}

async function resources(context: Context): Promise<void> {
  await withHive(context, async (hive) => {
    const [agents, { leases }] = await Promise.all([allAgents(hive), hive.pool.listLeases({})]);
    context.output.data({ agents, leases }, () => `${kindTable(AGENTS, agents)}\n\n${kindTable(LEASES, leases)}`);
  });
}
