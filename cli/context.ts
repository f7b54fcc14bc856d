import type { Command } from 'commander';
import { HiveError, quote } from '../libs/kernel/errors.ts';
import { isName, NAME_RULE } from '../libs/kernel/names.ts';
import { connect } from '../libs/sdk/connect.ts';
import type { Hive, Identity } from '../libs/sdk/hive.ts';
import { operatorKeyFile, readKey } from '../libs/sdk/keys.ts';
import { createOutput, type Format, type Output } from './output.ts';
import { placeOf } from './place.ts';
import type { RunFile } from './run-file.ts';
import type { CommandTracing } from './tracing.ts';

/** The options that every command has. */
export interface GlobalOptions {
  nats?: string;
  federation?: string;
  output: Format;
  as?: string;
  context?: string;
}

/** What a command works with: where Hivebus runs, who is asking, where the answer goes. */
export interface Context {
  /** The options that every command has, as given. */
  readonly given: GlobalOptions;
  readonly output: Output;
  readonly nats: string;
  readonly federation: string;
  readonly home: string;
  /** The `hivebus up` that is meant, when it was found by its folder. */
  readonly run: RunFile | undefined;
  /** The name of the context that is used; empty = none. */
  readonly context: string;
  /** Aborts on Ctrl-C. */
  readonly signal: AbortSignal;
  /** Connects: as `fallback` when neither --as nor an operator's key says who. */
  connect(fallback?: Identity): Promise<Hive>;
  /** Connects as `identity`, whatever keys there are. */
  connectAs(identity: Identity): Promise<Hive>;
}

export function contextOf(command: Command, signal: AbortSignal, tracing: CommandTracing): Context {
  const options = command.optsWithGlobals<GlobalOptions>();
  const { nats, federation, home, run, as, context } = placeOf(options);
  const asked = parseIdentity(as);
  const connectAs = async (identity: Identity) => {
    const connecting = connect({ servers: nats, federation, home, identity });
    const hive = await Promise.race([connecting, interruption(signal)]).catch((error) =>
      Promise.reject(explained(error, nats)),
    );
    return tracing.through(hive);
  };
  return {
    given: options,
    output: createOutput(options.output, process.stdout, process.stderr),
    nats,
    federation,
    home,
    run,
    context,
    signal,
    connectAs,
    connect: async (fallback = { kind: 'anonymous' }) =>
      connectAs(asked ?? (await defaultOperator(home, run)) ?? fallback),
  };
}

/** Nobody waits for a connection that may never stand; main ends the process, and what is left of it. */
const interruption = (signal: AbortSignal): Promise<never> =>
  new Promise((_, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });

/** Who sees this has started nothing yet, or elsewhere. */
function explained(error: unknown, nats: string): unknown {
  if (!(error instanceof HiveError) || error.reason !== 'BUS_UNREACHABLE') return error;
  const hint = 'start it with `hivebus up` (or npm start), or say where it runs with --nats URL';
  return new HiveError('UNAVAILABLE', `nothing runs at ${nats}: ${hint}`, { cause: error, reason: error.reason });
}

/** `operator:NAME` or `swarm:NAME`. */
function parseIdentity(text: string | undefined): Identity | undefined {
  if (text === undefined || text === '') return undefined;
  const [kind, name, ...rest] = text.split(':');
  if (isName(name) && rest.length === 0) {
    if (kind === 'operator') return { kind, name };
    if (kind === 'swarm') return { kind, swarm: name };
  }
  const message = `--as: ${quote(text)} must be operator:NAME or swarm:NAME, where NAME ${NAME_RULE}`;
  throw new HiveError('INVALID_ARGUMENT', message);
}

/** The operator whose key lies in the home, if there is one. */
async function defaultOperator(home: string, run: RunFile | undefined): Promise<Identity | undefined> {
  const name = process.env.HIVEBUS_OPERATOR || run?.operator || 'local';
  return (await readKey(operatorKeyFile(home, name))) ? { kind: 'operator', name } : undefined;
}
