import { defaultHome } from '../libs/sdk/keys.ts';
import { contextNamed, contextsFile, type NamedContext, readContexts } from './contexts.ts';
import { findRun, type RunFile } from './run-file.ts';

const DEFAULT_NATS = 'nats://127.0.0.1:4222';

/** Where a command works: which bus, which federation, as whom, with which keys. */
export interface Place {
  readonly nats: string;
  readonly federation: string;
  /** As it was said; empty = not at all. */
  readonly as: string;
  /** Where keys lie. */
  readonly home: string;
  /** The `hivebus up` that this place is, if it was found by its folder. */
  readonly run: RunFile | undefined;
  /** The context's name; empty = none. */
  readonly context: string;
}

interface Said {
  readonly context?: string;
  readonly nats?: string;
  readonly federation?: string;
  readonly as?: string;
}

/**
 * What is said goes, the nearest first: an option, a context that is named, the environment, the current context, the
 * `hivebus up` of this folder, the default. Where a context says where, the folder's `hivebus up` says nothing: its keys
 * are another's.
 */
export function placeOf(said: Said, env: NodeJS.ProcessEnv = process.env, folder = process.cwd()): Place {
  const contexts = readContexts(contextsFile(env));
  const asked = said.context || env.HIVEBUS_CONTEXT || '';
  const named = asked === '' ? undefined : contextNamed(contexts, asked);
  const isElsewhere = Boolean(said.nats || env.HIVEBUS_NATS);
  const current =
    named || isElsewhere || contexts.current === '' ? undefined : contextNamed(contexts, contexts.current);
  const run = named || current ? undefined : findRun(folder);
  const pick = (field: keyof NamedContext, option = '', variable = ''): string =>
    option || named?.[field] || variable || current?.[field] || '';
  return {
    nats: pick('nats', said.nats, env.HIVEBUS_NATS) || run?.nats || DEFAULT_NATS,
    federation: pick('federation', said.federation, env.HIVEBUS_FEDERATION) || 'main',
    as: pick('as', said.as, env.HIVEBUS_AS),
    home: pick('home', '', env.HIVEBUS_HOME) || run?.home || defaultHome(env),
    run,
    context: named ? asked : current ? contexts.current : '',
  };
}
