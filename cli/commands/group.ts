import type { Command } from 'commander';
import { counted } from '../../libs/kernel/counted.ts';
import type { Group } from '../../libs/wire/hivebus/pool/v1/group.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { cancelText, GROUPS, groupDetails } from '../kinds/groups.ts';
import { present } from '../kinds/kind.ts';
import { idOf, word } from '../values.ts';
import { addList } from './list.ts';

const HELP = `
A group is submitted by a manifest of kind SwarmTaskGroup: hivebus apply -f
FILE. Further tasks are added to one that has not ended by hivebus task submit
--group ID. What of it waits, and for what, says hivebus explain ID.`;

export function addGroup(program: Command): void {
  const group = program.command('group').description('tasks that belong together').addHelpText('after', HELP);
  addList(group, GROUPS);
  const add = (name: string, what: string) => group.command(name).description(what).argument('<id>', '', idOf('group'));
  add('get', 'one group with its progress').action(action(get, { names: true }));
  add('pause', 'give nothing more of it out; what runs goes on')
    .option('--reason <text>', 'for people', '')
    .action(action(pause));
  add('resume', 'let a paused group go on').action(action(resume));
  add('cancel', 'end it: what waits is cancelled, what runs is asked to end')
    .option('--reason <text>', 'for people', '')
    .action(action(cancel));
  add('approve', 'say yes to the gate that it waits at')
    .option('--phase <name>', 'the gate after this phase (default: the one that waits)', '')
    .option('--reason <text>', 'for people', '')
    .action(action((context: Context, id: string, options: Said) => decide(context, id, true, options)));
  add('reject', 'say no to the gate that it waits at: the group fails')
    .option('--phase <name>', 'the gate after this phase (default: the one that waits)', '')
    .option('--reason <text>', 'for people', '')
    .action(action((context: Context, id: string, options: Said) => decide(context, id, false, options)));
}

interface Said {
  readonly phase: string;
  readonly reason: string;
}

async function get(context: Context, id: string): Promise<void> {
  await withHive(context, async (hive) => {
    const group = present((await hive.pool.getGroup({ id })).group, 'group', id);
    context.output.data(
      group,
      () => groupDetails(group),
      () => [`group/${id}`],
    );
  });
}

const stateIs = (group: Group | undefined): string => word(group?.state ?? 'GROUP_STATE_UNSPECIFIED', 'GROUP_STATE');

async function pause(context: Context, id: string, { reason }: { reason: string }): Promise<void> {
  await withHive(context, async (hive) => {
    const { group } = await hive.pool.pauseGroup({ id, reason });
    context.output.data(group, () => `group ${id} is ${stateIs(group)}; ${runOn(group?.counts?.running ?? 0)}`);
  });
}

const runOn = (running: number): string => `${counted(running, 'task')} ${running === 1 ? 'runs' : 'run'} on`;

async function resume(context: Context, id: string): Promise<void> {
  await withHive(context, async (hive) => {
    const { group } = await hive.pool.resumeGroup({ id });
    context.output.data(group, () => `group ${id} is ${stateIs(group)}`);
  });
}

async function cancel(context: Context, id: string, { reason }: { reason: string }): Promise<void> {
  await withHive(context, async (hive) => {
    const { group } = await hive.pool.cancelGroup({ id, reason });
    context.output.data(group, () => cancelText(group, id));
  });
}

async function decide(context: Context, id: string, approve: boolean, { phase, reason }: Said): Promise<void> {
  await withHive(context, async (hive) => {
    const { group } = await hive.pool.decide({ group: id, phase, approve, reason });
    const gate = group?.gates.at(-1)?.phase;
    context.output.data(
      group,
      () => `${approve ? 'go' : 'no-go'} after phase ${gate}: group ${id} is ${stateIs(group)}`,
    );
  });
}
