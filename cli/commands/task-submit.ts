import { type Command, Option } from 'commander';
import { invalid } from '../../libs/kernel/errors.ts';
import { waitForTask } from '../../libs/sdk/wait.ts';
import type { Task, TaskBudget, TaskContinuity, TaskSpec, TaskState } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { EXIT } from '../exit-codes.ts';
import { taskDetails } from '../kinds/tasks.ts';
import { Outage } from '../outage.ts';
import { type SelectorOptions, selectorOf, withSelector } from '../selector.ts';
import { readTaskManifests } from '../task-manifest.ts';
import { tiesOf } from '../ties.ts';
import {
  countingNumber,
  duration,
  jsonOf,
  keyValue,
  list,
  missingOptions,
  textOf,
  wholeNumber,
  word,
} from '../values.ts';
import { type OptionsOfOne, refuseOptionsOfOne, specsOfEach, submitMany } from './submit-many.ts';

const POLICIES = ['cancel', 'fail', 'continue'] as const;

export function addTaskSubmit(task: Command): void {
  withSelector(task.command('submit'))
    .description('submit a task, or many')
    .option('-f, --file <path>', 'manifests of kind SwarmTask, in YAML, one task each; - for standard input')
    .option('--swarm <name>', 'the swarm that it belongs to (required, here or in the manifest)')
    .option('--type <type>', 'the type of agent that it needs (required, here or in the manifest)')
    .option('--capability <name>', 'what the agent must be able to do; may be repeated', list, [])
    .option('--payload <json>', 'the work: JSON, @file, or - for standard input')
    .option('--each <path>', 'a task for each line of a file, whose JSON is its payload; - for standard input')
    .option('--script <text>', 'a shell script instead, for agents that allow scripts: the text, @file, or -')
    .option('--title <text>', 'for people', '')
    .option('--label <key=value>', 'a free label; may be repeated', keyValue, {})
    .option('--timeout <duration>', 'how long one attempt may run (default, also of 0s: 10m)', duration)
    .option('--max-attempts <n>', 'how often it may be tried (default, also of 0: 3)', wholeNumber)
    .option('--priority <n>', 'higher goes first, 0 to 1000 (default: 0)', wholeNumber)
    .option(
      '--volume <name>',
      'a folder that it keeps between attempts, on the host of the first; may be repeated',
      list,
      [],
    )
    .option('--spend <units>', 'a budget: what it and all that it delegates may use together', countingNumber)
    .option('--hops <n>', 'a budget: how deep may be delegated, 1 to 16', countingNumber)
    .option('--resume', 'a later attempt goes on from the last checkpoint of the one before')
    .option(
      '--claim',
      'it never runs twice at a time: after a lost attempt the next one waits for the end of its claim',
    )
    .option('--backoff <duration>', 'how long to wait after the first failure, doubled with each; at most 1h', duration)
    .option('--max-backoff <duration>', 'the longest such wait (default: 64 times the first)', duration)
    .option('--max-wait <duration>', 'how long it may wait for an agent, each time (default: no limit)', duration)
    .option('--max-total <duration>', 'how long it may take in all (default: no limit)', duration)
    .option('--after <id>', 'a task that must have ended before; may be repeated', list, [])
    .addOption(
      new Option('--on-failure <policy>', 'what becomes of it when one of these fails (default: cancel)').choices(
        POLICIES,
      ),
    )
    .option('--group <id>', 'add it to this group, which has not ended', '')
    .option('--phase <name>', "the group's phase (default: the one that it is in)", '')
    .addOption(new Option('--approval <who>', 'it waits for a yes').choices(['swarm', 'operator']))
    .option('--id <id>', "the task's id: a repeat of the same task does nothing, another task is refused", '')
    .option('--wait', 'wait for the outcome: exit code 0 when it succeeded, 1 when it did not')
    .action(action(submit, { heedsSignal: true, names: true }));
}

interface SubmitOptions extends SelectorOptions, OptionsOfOne {
  backoff?: number;
  maxBackoff?: number;
  maxWait?: number;
  maxTotal?: number;
  after: string[];
  onFailure?: (typeof POLICIES)[number];
  group: string;
  phase: string;
  approval?: 'swarm' | 'operator';
  file?: string;
  each?: string;
  title: string;
  priority?: number;
  maxAttempts?: number;
  swarm?: string;
  type?: string;
  capability: string[];
  label: Record<string, string>;
  payload?: string;
  script?: string;
  timeout?: number;
  id: string;
  volume: string[];
  spend?: number;
  hops?: number;
  resume?: boolean;
  claim?: boolean;
  wait?: boolean;
}

async function submit(context: Context, options: SubmitOptions): Promise<number> {
  const { output, signal } = context;
  const specs = await specsOf(options);
  const [spec] = specs;
  if (!spec || options.each !== undefined || specs.length > 1) return submitMany(context, specs);
  return withHive(
    context,
    async (hive) => {
      const { task, created } = await hive.pool.submitTask(
        { spec, id: options.id, idempotent: options.id !== '' },
        { signal },
      );
      const id = task?.id ?? '';
      if (!options.wait) {
        output.data(
          task,
          () => id,
          () => [`task/${id}`],
        );
        const waits = task && output.interactive ? waitsText(task) : '';
        if (waits !== '') output.note(waits);
        return EXIT.ok;
      }
      output.note(created ? `task ${id} is submitted` : `task ${id} is there already`);
      const { lost: onFault, back } = new Outage(context);
      const ended = await waitForTask(hive, id, {
        ...{ signal, onChange: changes(context), onFault, onBack: () => back() },
      }).catch((error) => {
        if (!signal.aborted) throw error;
        const look = `hivebus task get ${id} shows it, hivebus task cancel ${id} ends it`;
        output.note(`task ${id} goes on without anybody waiting; ${look}`);
        throw signal.reason;
      });
      output.data(
        ended,
        () => taskDetails(ended),
        () => [`task/${id}`],
      );
      if (ended.state === 'TASK_STATE_SUCCEEDED') return EXIT.ok;
      if (output.interactive && ended.attempts.length > 0)
        output.note(`hivebus task logs ${id} shows what it has said`);
      return EXIT.failed;
    },
    { kind: 'swarm', swarm: spec.swarm },
  );
}

async function specsOf(options: SubmitOptions): Promise<TaskSpec[]> {
  const manifests = options.file === undefined ? [undefined] : await readTaskManifests(options.file);
  if (options.each !== undefined || manifests.length > 1) refuseOptionsOfOne(options);
  const specs: TaskSpec[] = [];
  for (const manifest of manifests) specs.push(await specOf(options, manifest));
  return options.each === undefined ? specs : specsOfEach(specs, options.each);
}

/** What options say goes before what the manifest says. */
async function specOf(options: SubmitOptions, manifest: TaskSpec | undefined): Promise<TaskSpec> {
  const swarm = options.swarm || manifest?.swarm || '';
  const type = options.type || manifest?.type || '';
  const missing = missingOptions({ '--swarm <name>': swarm, '--type <type>': type });
  if (options.payload !== undefined && (options.script ?? manifest?.script) !== undefined) {
    const value = options.script === undefined ? 'a script in the manifest' : '--script';
    throw invalid([{ field: '--payload', value, rule: 'is given too; a task has one of them' }]);
  }
  if (missing) throw missing;
  const { after, group, phase, approval, onFailure = 'cancel' } = options;
  const asked = tiesOf({
    ...{ after, group, phase },
    onFailure: `FAILURE_POLICY_${onFailure.toUpperCase() as Uppercase<typeof onFailure>}`,
    approval: approval && { operatorOnly: approval === 'operator' },
  });
  return {
    ...{ swarm, type },
    ...(asked.ties ? asked : { ...(manifest?.ties ? { ties: manifest.ties } : {}) }),
    title: options.title || (manifest?.title ?? ''),
    maxAttempts: options.maxAttempts ?? manifest?.maxAttempts ?? 0,
    priority: options.priority ?? manifest?.priority ?? 0,
    capabilities: options.capability.length > 0 ? options.capability : (manifest?.capabilities ?? []),
    labels: { ...manifest?.labels, ...options.label },
    timeoutMs: options.timeout ?? manifest?.timeoutMs ?? 0,
    payload: options.payload === undefined ? manifest?.payload : await jsonOf('--payload', options.payload),
    script: options.script === undefined ? (manifest?.script ?? '') : await textOf(options.script),
    ...continuityOf(options, manifest?.continuity),
    ...volumesOf(options.volume, manifest),
    ...budgetOf(options, manifest?.budget),
    ...rulesOf(options, manifest),
  };
}

/** Which agents, how it is tried again and how long it may take; left out where nothing is said of it. */
function rulesOf(options: SubmitOptions, manifest?: TaskSpec): Pick<TaskSpec, 'selector' | 'retry' | 'limits'> {
  const selector = selectorOf(options, manifest?.selector);
  const retry = {
    backoffMs: options.backoff ?? manifest?.retry?.backoffMs ?? 0,
    maxBackoffMs: options.maxBackoff ?? manifest?.retry?.maxBackoffMs ?? 0,
  };
  const limits = {
    queuedMs: options.maxWait ?? manifest?.limits?.queuedMs ?? 0,
    totalMs: options.maxTotal ?? manifest?.limits?.totalMs ?? 0,
  };
  return {
    ...(selector ? { selector } : {}),
    ...(retry.backoffMs > 0 || retry.maxBackoffMs > 0 ? { retry } : {}),
    ...(limits.queuedMs > 0 || limits.totalMs > 0 ? { limits } : {}),
  };
}

const volumesOf = (names: string[], manifest: TaskSpec | undefined): Pick<TaskSpec, 'volumes'> => {
  const volumes = names.length > 0 ? { names } : manifest?.volumes;
  return volumes ? { volumes } : {};
};

/** Left out where it says nothing. */
function budgetOf(options: SubmitOptions, manifest?: TaskBudget): Pick<TaskSpec, 'budget'> {
  const spend = options.spend ?? manifest?.spend ?? 0;
  const hops = options.hops ?? manifest?.hops ?? 0;
  return spend > 0 || hops > 0 ? { budget: { spend, hops } } : {};
}

/** Left out where it says nothing. */
function continuityOf(options: SubmitOptions, manifest?: TaskContinuity): Pick<TaskSpec, 'continuity'> {
  const resume = options.resume ?? manifest?.resume ?? false;
  const claim = options.claim ?? manifest?.claim ?? false;
  return resume || claim ? { continuity: { resume, claim } } : {};
}

/** Says each new state once, to people who wait. */
function changes({ output }: Context): (task: Task) => void {
  let said: TaskState | undefined;
  return (task) => {
    if (task.state === said) return;
    said = task.state;
    output.note(`${word(task.state, 'TASK_STATE')}${whereOf(task)}`);
  };
}

/** Said of a task that no agent could take at once; empty = one did, or it is held back, as was asked for. */
export const waitsText = (task: Task): string =>
  task.state === 'TASK_STATE_QUEUED' ? `queued${whereOf(task)}; hivebus explain ${task.id} says more` : '';

/** What a task waits for, after which attempt; the agent that has it, or had it last. */
function whereOf({ state, attempts, waitingFor }: Task): string {
  const last = attempts.at(-1);
  if (state === 'TASK_STATE_BLOCKED') return `, waits for ${waitingFor}`;
  if (state !== 'TASK_STATE_QUEUED') return last ? ` on ${last.agent}` : '';
  const after = last ? ` again after ${last.agent}${last.reason && ` (${last.reason})`}` : '';
  return `${after}, waits for ${waitingFor}`;
}
