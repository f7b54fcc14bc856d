import { type Command, Option } from 'commander';
import { notFound } from '../../libs/kernel/errors.ts';
import { readTaskLog } from '../../libs/sdk/read-log.ts';
import type { LogLine } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { kindTable } from '../kinds/kind.ts';
import { cancelTask, TASKS, taskDetails } from '../kinds/tasks.ts';
import { Outage } from '../outage.ts';
import { colors } from '../output.ts';
import { plainLine } from '../printable.ts';
import { allTasks, TASK_STATES } from '../queries.ts';
import { warnOfNone } from '../unknown-names.ts';
import { countingNumber, idOf, keyValue, listOf, word } from '../values.ts';
import { artefacts, result } from './artefacts.ts';
import { deadLetters, replay } from './dead-letters.ts';
import { addTaskSubmit } from './task-submit.ts';

const STATES = TASK_STATES.map((state) => word(state, 'TASK_STATE'));

const LIST_HELP = `
TOOK is the time from submission to end, with the waiting for an agent; RAN, in
the details of a task, is how long an agent ran it.`;

export function addTask(program: Command): void {
  const task = program.command('task').description('work for agents');
  addTaskSubmit(task);
  task
    .command('get')
    .description('one task')
    .argument('<id>', '', idOf('task'))
    .action(action(get, { names: true }));
  task
    .command('list')
    .description('the newest tasks, oldest first')
    .option('--swarm <name>', 'only of this swarm', '')
    .addOption(
      new Option('--state <state...>', 'only in one of these states').choices(STATES).argParser(listOf(STATES)),
    )
    .option('--label <key=value>', 'only with this label; may be repeated', keyValue, {})
    .option('--group <id>', 'only of this group', '')
    .option('--limit <n>', 'at most so many, the newest', countingNumber, 100)
    .addHelpText('after', LIST_HELP)
    .action(action(listTasks, { names: true }));
  task
    .command('cancel')
    .description('ask for a task to end')
    .argument('<id>', '', idOf('task'))
    .option('--reason <text>', 'for people', '')
    .action(action(cancel));
  task
    .command('dead-letters')
    .description('tasks that have failed, kept for a week: all of them, or one with all that is known of it')
    .argument('[id]')
    .option('--swarm <name>', 'only of this swarm', '')
    .action(action(deadLetters, { names: true }));
  task
    .command('replay')
    .description('submit the work of a dead letter again, as a new task')
    .argument('<id>', '', idOf('task'))
    .option('--id <id>', "the new task's id, so that a repeat makes no second one", '')
    .action(action(replay, { names: true }));
  task
    .command('result')
    .description("a task's result alone, however large it is")
    .argument('<id>', '', idOf('task'))
    .action(action(result));
  task
    .command('artefacts')
    .description('the files that a task has stored: all of them, or the content of one')
    .argument('<id>', '', idOf('task'))
    .argument('[name]')
    .option('--to <file>', 'write the content there instead of to standard output')
    .action(action(artefacts, { names: true }));
  task
    .command('checkpoint')
    .description('how far a task has come: the last checkpoint that it has stored')
    .argument('<id>', '', idOf('task'))
    .action(action(checkpoint));
  task
    .command('approve')
    .description('say yes to a task that waits for it')
    .argument('<id>', '', idOf('task'))
    .option('--reason <text>', 'for people', '')
    .action(action((context: Context, id: string, { reason }: Said) => decide(context, id, true, reason)));
  task
    .command('reject')
    .description('say no to a task that waits for a yes: it is cancelled')
    .argument('<id>', '', idOf('task'))
    .option('--reason <text>', 'for people', '')
    .action(action((context: Context, id: string, { reason }: Said) => decide(context, id, false, reason)));
  task
    .command('logs')
    .description("a task's output")
    .argument('<id>', '', idOf('task'))
    .option('-f, --follow', 'go on until the task ends')
    .action(action(logs, { heedsSignal: true }));
}

interface Said {
  readonly reason: string;
}

async function decide(context: Context, id: string, approve: boolean, reason: string): Promise<void> {
  await withHive(context, async (hive) => {
    const { task } = await hive.pool.decide({ task: id, approve, reason });
    context.output.data(task, () => `task ${id} is ${approve ? 'approved' : 'refused'}`);
  });
}

async function get(context: Context, id: string): Promise<void> {
  await withHive(context, async (hive) => {
    const { task } = await hive.pool.getTask({ id });
    context.output.data(
      task,
      () => (task ? taskDetails(task) : ''),
      () => [`task/${id}`],
    );
  });
}

interface ListOptions {
  swarm: string;
  state?: string[];
  label: Record<string, string>;
  group: string;
  limit: number;
}

async function listTasks(context: Context, options: ListOptions): Promise<void> {
  const states = TASK_STATES.filter((state) => options.state?.includes(word(state, 'TASK_STATE')));
  await withHive(context, async (hive) => {
    const all = await allTasks(hive, { swarm: options.swarm, states, labels: options.label, group: options.group });
    await warnOfNone(hive, all, options, context.output);
    const tasks = all.slice(-options.limit);
    context.output.data(
      tasks,
      () => kindTable(TASKS, tasks, { swarm: options.swarm, labels: options.label }),
      () => tasks.map(({ id }) => `task/${id}`),
    );
    const left = all.length - tasks.length;
    if (left > 0) context.output.note(`${left} older ones are not shown; --limit ${all.length} shows all`);
  });
}

async function cancel(context: Context, id: string, options: { reason: string }): Promise<void> {
  await withHive(context, async (hive) => {
    const { task, said } = await cancelTask(hive, id, options.reason);
    context.output.data(task, () => said);
  });
}

async function checkpoint(context: Context, id: string): Promise<void> {
  const { output } = context;
  await withHive(context, async (hive) => {
    const { checkpoint: found } = await hive.pool.getCheckpoint({ task: id });
    if (!found) throw notFound('checkpoint of task', id, 'it has stored none, or has ended');
    output.data(found, () => plainLine(JSON.stringify(found.data)));
  });
}

async function logs(context: Context, id: string, options: { follow?: boolean }): Promise<void> {
  const { output, signal } = context;
  const show = (line: LogLine) =>
    output.programLine(line, line.text, line.stream === 'LOG_STREAM_STDERR' ? colors.yellow : (text) => text);
  const { lost: onFault, back } = new Outage(context);
  await withHive(context, async (hive) => {
    const lines = readTaskLog(hive, id, { follow: options.follow, signal, onFault, onBack: () => back() });
    try {
      for await (const line of lines) show(line);
    } catch (error) {
      if (!signal.aborted) throw error;
      output.note(`task ${id} goes on; hivebus task logs -f ${id} reads its output again`);
      throw signal.reason;
    }
  });
}
