import type { Command } from 'commander';
import { HiveError, invalid } from '../libs/kernel/errors.ts';
import type { Hive, Identity } from '../libs/sdk/hive.ts';
import { refuseUnknown } from '../libs/service/config.ts';
import { type Context, contextOf, type GlobalOptions } from './context.ts';
import { type Traced, traceCommand } from './tracing.ts';

/** What a command does with its arguments and options; a number is its exit code. */
export type Run<Args extends unknown[]> = (context: Context, ...args: Args) => Promise<unknown>;

const nameless = (command: string): HiveError =>
  invalid([{ field: '-o', value: '"name"', rule: `has no meaning for ${command}; use table, json or yaml` }]);

/** Under `npm start` one Ctrl-C comes twice, from the terminal and from npm: within so long it is the same one. */
const SAME_KEY_MS = 200;

const interrupted = (): HiveError => new HiveError('CANCELLED', 'interrupted');

/**
 * The action of a commander command. It is over at once on Ctrl-C, unless `heedsSignal`: then the command ends itself
 * when `context.signal` aborts.
 */
export function action<Args extends unknown[]>(
  run: Run<Args>,
  options: {
    readonly heedsSignal?: boolean;
    /** It answers with items, so that `-o name` has a meaning. */
    readonly names?: boolean;
    /** Default: the whole command. */
    readonly traced?: Traced;
  } = {},
) {
  return async (...parameters: unknown[]): Promise<void> => {
    const command = parameters.at(-1) as Command;
    const args = [...command.processedArgs, command.opts()] as Args;
    if (command.optsWithGlobals<GlobalOptions>().output === 'name' && !options.names) throw nameless(command.name());
    refuseUnknown(process.env);
    const stop = new AbortController();
    let firstAt: number | undefined;
    const onSignal = () => {
      firstAt ??= performance.now();
      if (!stop.signal.aborted) stop.abort(interrupted());
      else if (performance.now() - firstAt > SAME_KEY_MS) process.exit(130);
    };
    process.on('SIGINT', onSignal);
    process.on('SIGTERM', onSignal);
    const aborted = new Promise<never>((_, reject) => {
      if (!options.heedsSignal) stop.signal.addEventListener('abort', () => reject(interrupted()));
    });
    await using tracing = await traceCommand(options.traced ?? 'command', process.env);
    const context = contextOf(command, stop.signal, tracing);
    const code = await tracing.run(pathOf(command), () => Promise.race([run(context, ...args), aborted]));
    process.exitCode = typeof code === 'number' ? code : 0;
  };
}

/** E.g. `task submit`. */
function pathOf(command: Command): string {
  const { parent } = command;
  return parent?.parent ? `${pathOf(parent)} ${command.name()}` : command.name();
}

/** Connects, works, closes. */
export async function withHive<T>(context: Context, work: (hive: Hive) => Promise<T>, fallback?: Identity): Promise<T> {
  await using hive = await context.connect(fallback);
  return await work(hive);
}

/** Resolves when `signal` aborts. */
export const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    signal.addEventListener('abort', () => resolve(), { once: true });
  });
