import { hostname } from 'node:os';
import type { Command } from 'commander';
import { systemClock } from '../../libs/kernel/clock.ts';
import { formatDuration } from '../../libs/kernel/durations.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import { BACKGROUND } from '../../libs/rpc/observe.ts';
import { createAgent } from '../../libs/sdk/agent.ts';
import { createExecHandler } from '../../libs/sdk/exec.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { keepAlive } from '../../libs/sdk/swarm.ts';
import { action, untilAborted } from '../action.ts';
import { commandOf } from '../agent-command.ts';
import type { Context } from '../context.ts';
import { AGENTS } from '../kinds/agents.ts';
import { ensureSwarm, requireMeant } from '../new-swarm.ts';
import { plainLine } from '../printable.ts';
import { ReadyFile } from '../ready-file.ts';
import { ago, countingNumber, duration, keyValue, list, wholeNumber } from '../values.ts';
import { addAgentMoves } from './agent-moves.ts';
import { addList } from './list.ts';

interface RunOptions {
  swarm: string;
  newSwarm?: boolean;
  type: string;
  name?: string;
  capability: string[];
  slots: number;
  region: string;
  priority: number;
  label: Record<string, string>;
  specialisation: string[];
  cost: number;
  exec?: string;
  allowScripts?: boolean;
  data?: string;
  grace?: number;
  drain: number;
  quiet?: boolean;
  readyFile?: string;
}

/** How long it looks whether another agent has its name. */
const LOOK_MS = 5000;

const HELP = `
For each task the command runs in a process group of its own:
  standard input   the task as one line of JSON: id, attempt, swarm, type,
                   payload, labels, …
  environment      HIVEBUS_TASK_ID, _ATTEMPT, _SWARM, _AGENT, _TYPE, _TITLE,
                   _TIMEOUT_MS, _FEDERATION, _CORRELATION_ID, _HOPS and
                   TRACEPARENT
  output           goes to the task's log (hivebus task logs), lines cut at 8
                   KiB
  result           the last line of standard output that is JSON
  checkpoints      of a task that resumes: HIVEBUS_CHECKPOINT has the last one,
                   and each line of JSON that is written to descriptor 3 is the
                   next (echo '{"done": 5}' >&3)
  progress         a line of output such as ::progress 40% counting (hivebus
                   task get)
  artefacts        files that are left in the folder HIVEBUS_ARTEFACTS when it
                   succeeds (hivebus task artefacts)
  volumes          of a task that has some, with --data: HIVEBUS_VOLUME_<NAME>
                   is the folder
  exit code        0 = succeeded; 64 (usage) or 65 (bad data) = failed for good;
                   any other, 75 (try again) or death by a signal = this attempt
                   failed, try again
  cancel, timeout  SIGTERM to the whole group, SIGKILL after the grace time;
                   SIGKILL at once when a claim is over
Whatever it started ends with the task, and with the agent, even if that is
killed. A name is one agent's at a time: a second of the same name is warned,
takes its place, and the first one ends.

Examples:
  hivebus agent run --swarm code --type linter \\
      --exec 'jq -r .payload.file | xargs eslint'
  hivebus agent run --swarm code --type coder --slots 2 -- ./agent.py --verbose
  hivebus agent run --swarm ops --type shell --allow-scripts
  hivebus agent run --swarm lab --type trainer --label gpu=yes \\
      --specialisation vision --cost 40 --exec ./train.sh`;

const DEFAULT_GRACE_MS = 5000;

export function addAgent(program: Command): void {
  const agent = program.command('agent').description('workers');
  addList(agent, AGENTS);
  agent
    .command('run')
    .description('run a program for each task; makes and registers the swarm if need be')
    .requiredOption('--swarm <name>', 'its swarm')
    .option('--new-swarm', 'make the swarm even where one with nearly the same name is registered')
    .requiredOption('--type <type>', 'its type: tasks ask for it')
    .option('--name <name>', 'its name, unique in the swarm (default: from the type and a random part)')
    .option('--capability <name>', 'what it can do; may be repeated', list, [])
    .option('--slots <n>', 'how many tasks at once', countingNumber, 1)
    .option('--region <name>', 'where it runs', '')
    .option('--priority <n>', 'higher is preferred, 0 to 1000', wholeNumber, 0)
    .option('--label <key=value>', 'what tasks may ask for; may be repeated', keyValue, {})
    .option('--specialisation <name>', 'what it is best at; may be repeated', list, [])
    .option('--cost <n>', "what a task on it costs, in the federation's unit; cheaper is preferred", wholeNumber, 0)
    .option('--exec <command>', 'the command, run by sh -c')
    .option('--allow-scripts', 'run tasks that are shell scripts')
    .option('--data <folder>', 'keep the volumes of tasks there; agents with the same folder take over from each other')
    .option('--grace <duration>', 'between SIGTERM and SIGKILL (default: 5s)', duration)
    .option(
      '--drain <duration>',
      'on Ctrl-C, time for running tasks to finish; a second Ctrl-C does not wait',
      duration,
      10_000,
    )
    .option('--quiet', 'say nothing about single tasks')
    .option('--ready-file <path>', 'a file that is there while the agent is ready, for health checks')
    .argument('[command...]', 'the command and its arguments, after --')
    .addHelpText('after', HELP)
    .action(action(runAgent, { heedsSignal: true, traced: 'work' }));
  addAgentMoves(agent);
}

async function runAgent(context: Context, words: string[], options: RunOptions): Promise<void> {
  const { output, signal } = context;
  const command = commandOf(words, options);
  const { swarm, type } = options;
  using ready = new ReadyFile(options.readyFile);
  const name = options.name ?? `${type}-${randomId(6)}`;
  await requireMeant(context, swarm, options.newSwarm ?? false);
  await using hive = await context.connectAs({ kind: 'swarm', swarm });
  await ensureSwarm(context, hive, swarm);
  if (options.name !== undefined) await warnOfTaken(context, hive, swarm, name);
  const { grace: graceMs = DEFAULT_GRACE_MS } = options;
  using exec = createExecHandler({ command, allowScripts: options.allowScripts ?? false, graceMs });
  const agent = await createAgent({
    ...{ hive, swarm, name, type, slots: options.slots, region: options.region, priority: options.priority },
    capabilities: options.capability,
    ...{ labels: options.label, specialisations: options.specialisation, cost: options.cost },
    allowScripts: options.allowScripts ?? false,
    handler: exec.handler,
    ...(options.data !== undefined && { dataFolder: options.data }),
    abandonMs: graceMs + 2000,
    onEvent: (text, about) => (options.quiet && about === 'task') || output.note(plainLine(text)),
  });
  output.note(`agent ${swarm}/${name} (${type}) is ready on ${hostname()}; Ctrl-C stops it`);
  ready.show();
  const end = new AbortController();
  void keepAlive(hive, swarm, 1000, undefined, systemClock, end.signal);
  const failure = await Promise.race([untilAborted(signal), agent.closed]);
  if (!failure) output.note(leaving(agent.running, options.drain));
  await agent.stop(options.drain);
  end.abort();
  if (failure) throw failure;
  output.note(`agent ${agent.swarm}/${agent.name} has left`);
}

function leaving(running: number, drainMs: number): string {
  if (running === 0) return 'leaving';
  const tasks = running === 1 ? 'a task' : `${running} tasks`;
  const after = 'what is not done then is given to others; a second Ctrl-C stops it at once';
  return `leaving: ${tasks} may finish within ${formatDuration(drainMs)}, ${after}`;
}

/** Only one can have a name, and the newest has it: whoever starts it is told whom that ends. */
async function warnOfTaken({ output }: Context, hive: Hive, swarm: string, name: string): Promise<void> {
  try {
    const { agent } = await hive.pool.getAgent({ swarm, name }, { timeoutMs: LOOK_MS, trace: BACKGROUND });
    if (!agent || agent.state === 'AGENT_STATE_UNREACHABLE') return;
    const heard = agent.lastHeartbeatAt ? `, heard ${ago(agent.lastHeartbeatAt)}` : '';
    const advice = 'if it still runs, this one takes its place and that one ends; another --name keeps both';
    output.note(`there is an agent ${swarm}/${name} already${heard}: ${advice}`);
  } catch {
    // Mostly there is none; and what else is wrong, the registration says.
  }
}
