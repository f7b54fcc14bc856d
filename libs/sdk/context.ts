import { AsyncLocalStorage } from 'node:async_hooks';
import type { Trace } from '../protocol/machine.ts';

/** A task, where it is handled. */
export interface Handled {
  readonly federation: string;
  readonly task: string;
}

/** What is handled where something is called. */
export interface Context {
  /** What is sent from here belongs to this trace. */
  readonly trace: Trace | undefined;
  /** What is submitted here is delegated by this task, and uses its budget. */
  readonly task: Handled | undefined;
}

const NOTHING: Context = { trace: undefined, task: undefined };

/** One for all of it: until Node 24 each one costs every promise of the process that is made within it. */
const handled = new AsyncLocalStorage<Context>();

export const currentContext = (): Context => handled.getStore() ?? NOTHING;

/** It goes with all that `run` begins. */
export const within = <T>(context: Context, run: () => T): T => handled.run(context, run);
