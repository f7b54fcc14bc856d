import { resolve } from 'node:path';
import type { Command } from 'commander';
import { invalid } from '../../libs/kernel/errors.ts';
import { action } from '../action.ts';
import type { Context } from '../context.ts';
import { checkContext, contextNamed, contextsFile, readContexts, writeContexts } from '../contexts.ts';
import { colors, listing } from '../output.ts';

const HELP = `
A context is a name for a federation that is used often: --nats, --federation,
--as and the folder of the keys. What is said by options goes before it; a
context that is named (--context, HIVEBUS_CONTEXT) goes before the environment,
and the current one after it. They lie in contexts.json in HIVEBUS_HOME
(default: ~/.config/hivebus), which holds no secrets.

Examples:
  hivebus context set prod --nats nats://10.0.0.7:4222 --federation research \\
      --as operator:ada
  hivebus context set laptop --nats nats://127.0.0.1:4222 --home ~/work/.hivebus
  hivebus context use prod
  hivebus --context laptop get tasks
  hivebus context use --none
  hivebus context list`;

export function addContext(program: Command): void {
  const context = program
    .command('context')
    .description('names for federations that are used often')
    .addHelpText('after', HELP);
  context
    .command('list')
    .description('all contexts')
    .action(action(list, { names: true }));
  context
    .command('set')
    .description('make a context, or change what is said of it: --nats, --federation, --as, --home')
    .argument('<name>', 'its name')
    .option('--home <folder>', 'where its keys lie')
    .action(action(set));
  context
    .command('use')
    .description('make a context the current one')
    .argument('[name]', 'its name')
    .option('--none', 'use none')
    .action(action(use));
  context.command('delete').description('forget a context').argument('<name>', 'its name').action(action(remove));
}

async function list({ output }: Context): Promise<void> {
  const { current, contexts } = readContexts();
  const items = Object.entries(contexts).map(([name, context]) => ({ name, current: name === current, ...context }));
  output.data(
    items,
    () => {
      if (items.length === 0) return `there are no contexts in ${contextsFile()}`;
      const rows = items.map((each) => [
        each.name,
        each.current ? colors.green('current') : '-',
        each.nats,
        each.federation,
        each.as || '-',
        each.home || '-',
      ]);
      return listing(['CONTEXT', 'IS', 'NATS', 'FEDERATION', 'AS', 'KEYS'], rows);
    },
    () => items.map(({ name }) => `context/${name}`),
  );
}

async function set({ output, given, nats }: Context, name: string, options: { home?: string }): Promise<void> {
  const all = readContexts();
  const before = Object.hasOwn(all.contexts, name) ? all.contexts[name] : undefined;
  const context = {
    nats: given.nats ?? before?.nats ?? nats,
    federation: given.federation ?? before?.federation ?? 'main',
    as: given.as ?? before?.as ?? '',
    home: options.home === undefined ? (before?.home ?? '') : resolve(options.home),
  };
  checkContext(name, context);
  writeContexts({ ...all, contexts: { ...all.contexts, [name]: context } });
  output.data(
    { name, ...context },
    () => `context ${name} is ${before ? 'changed' : 'made'}; hivebus context use ${name}`,
  );
}

async function use({ output }: Context, name: string | undefined, options: { none?: boolean }): Promise<void> {
  if ((name === undefined) !== (options.none ?? false)) {
    throw invalid([{ field: 'name', value: name ?? 'none', rule: 'must be given, or --none, and not both' }]);
  }
  const all = readContexts();
  if (name !== undefined) contextNamed(all, name);
  writeContexts({ ...all, current: name ?? '' });
  output.data({ current: name ?? '' }, () =>
    name === undefined ? 'no context is used' : `context ${name} is used from now on`,
  );
}

async function remove({ output }: Context, name: string): Promise<void> {
  const { current, contexts } = readContexts();
  contextNamed({ current, contexts }, name);
  const rest = Object.fromEntries(Object.entries(contexts).filter(([other]) => other !== name));
  writeContexts({ current: current === name ? '' : current, contexts: rest });
  output.data({ name }, () => `context ${name} is forgotten`);
}
