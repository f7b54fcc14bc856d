import { type Span, SpanStatusCode } from '@opentelemetry/api';
import type { Hive } from '../libs/sdk/hive.ts';
import { sampledBy, startTracing } from '../libs/sdk/tracing.ts';
import { ATTRIBUTE } from '../libs/telemetry/attributes.ts';

/**
 * What of a command is traced. command: all of it, as the beginning of a trace or a part of the one that it was started
 * in. work: what it does for others, in their traces. none: nothing.
 */
export type Traced = 'command' | 'work' | 'none';

/** The spans of a command. Disposed, it has sent them, and closed the connections by which they went. */
export interface CommandTracing extends AsyncDisposable {
  /** Runs the command within its span, if it has one. A number that it resolves to is its exit code. */
  run<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Sends spans by this connection, and hands out one that does not close it. */
  through(hive: Hive): Promise<Hive>;
}

export async function traceCommand(traced: Traced, env: NodeJS.ProcessEnv): Promise<CommandTracing> {
  const asked = sampledBy(env);
  if (traced === 'none' || asked === 'off') return UNTRACED;
  const tracing = await startTracing(
    traced === 'command'
      ? { service: 'hivebus-cli', executable: 'hivebus', env }
      : { service: 'hivebus-agent', traces: 0, env },
  );
  const connections: Hive[] = [];
  return {
    run: (name, work) => (traced === 'command' ? tracing.run(`hivebus ${name}`, telling(work)) : work()),
    async through(hive) {
      connections.push(hive);
      const lent = await hive.as(hive.identity);
      tracing.sendBy(lent);
      return lent;
    },
    async [Symbol.asyncDispose]() {
      await tracing[Symbol.asyncDispose]();
      await Promise.all(connections.map((hive) => hive.close()));
    },
  };
}

const UNTRACED: CommandTracing = {
  run: (_, work) => work(),
  through: async (hive) => hive,
  [Symbol.asyncDispose]: async () => {},
};

/** The same, with the exit code in its span. */
const telling =
  <T>(work: () => Promise<T>) =>
  async (_: unknown, span: Span | undefined): Promise<T> => {
    const result = await work();
    if (typeof result === 'number') tellExit(span, result);
    return result;
  };

function tellExit(span: Span | undefined, code: number): void {
  span?.setAttribute(ATTRIBUTE.exitCode, code);
  if (code !== 0) span?.setStatus({ code: SpanStatusCode.ERROR, message: `exit code ${code}` });
}
