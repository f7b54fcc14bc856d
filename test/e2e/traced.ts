import { join } from 'node:path';
import { systemClock } from '../../libs/kernel/clock.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { tokenSource } from '../../libs/protocol/token.ts';
import { readOrCreateKey, swarmKeyFile } from '../../libs/sdk/keys.ts';
import { readTrace } from '../../libs/sdk/read-trace.ts';
import { until } from '../../libs/testkit/until.ts';
import type { Span } from '../../libs/wire/hivebus/telemetry/v1/telemetry.ts';
import { Federation } from './federation.ts';
import type { Ran } from './hivebus.ts';

const PATIENCE_MS = 60_000;

/** A federation of which everything is traced, and what keeps the spans, each in a process of its own. */
export class TracedFederation implements AsyncDisposable {
  readonly federation: Federation;

  private constructor(federation: Federation) {
    this.federation = federation;
  }

  static async start(replicas: number): Promise<TracedFederation> {
    // The keeper comes first: what finds nobody to take its spans drops them for a while.
    return new TracedFederation(await Federation.start(replicas, { HIVEBUS_TRACES: 'always' }, 'telemetry'));
  }

  /** Runs `hivebus ARGS…` to its end. */
  run(args: readonly string[], env: NodeJS.ProcessEnv = {}): Promise<Ran> {
    return this.federation.playground.start(args, { ...this.federation.env, ...env }).ended;
  }

  /** Tokens of the queen of swarm `code`. */
  async token(): Promise<() => string> {
    const home = join(this.federation.playground.folder, '.config', 'hivebus');
    const key = await readOrCreateKey(swarmKeyFile(home, 'main', 'code'));
    return tokenSource(key, { kind: 'swarm', swarm: 'code' }, 'main', systemClock.now);
  }

  file(name: string): string {
    return join(this.federation.playground.folder, name);
  }

  /** The trace as far as it is kept; none = []. */
  async spans(question: { traceId?: string; last?: boolean; correlationId?: string }): Promise<readonly Span[]> {
    try {
      return (await readTrace(this.federation.hive, question)).spans;
    } catch (error) {
      if (error instanceof HiveError && error.code === 'NOT_FOUND') return [];
      throw error;
    }
  }

  /** The trace when it is as it shall be: spans come in a moment after they have ended. */
  async spansWhen(
    question: Parameters<TracedFederation['spans']>[0],
    isThere: (spans: readonly Span[]) => boolean,
  ): Promise<readonly Span[]> {
    const last: { spans: readonly Span[] } = { spans: [] };
    try {
      return await until(async () => {
        last.spans = await this.spans(question);
        return isThere(last.spans) ? last.spans : undefined;
      }, PATIENCE_MS);
    } catch {
      throw new Error(`the trace is not as expected:\n${pathsOf(last.spans).join('\n')}`);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.federation[Symbol.asyncDispose]();
  }
}

/** `name @service`, with the kind of those whose name is the same on both sides. */
function label({ name, kind, service }: Span): string {
  const side = kind === 'SPAN_KIND_CLIENT' && name.includes('/') ? 'call ' : '';
  const short = name.replace(/^hivebus\.(\w+)\.v1\.\w+\//, '$1.');
  return `${side}${short} @${service.replace(/^hivebus-/, '')}`;
}

/**
 * Every span, or each of `some`, as its way from the beginning of the trace, sorted, each way once: what is sent again on a slow machine
 * goes the same way. A span whose parent is not there begins with `?`.
 */
export function pathsOf(spans: readonly Span[], some = spans): string[] {
  const byId = new Map(spans.map((span) => [span.spanId, span]));
  const path = (span: Span): string => {
    const parent = byId.get(span.parentSpanId);
    if (parent) return `${path(parent)} > ${label(span)}`;
    return span.parentSpanId === '' ? label(span) : `? > ${label(span)}`;
  };
  return [...new Set(some.map(path))].sort();
}

/** An outline, two spaces a level, as the ways that it stands for; `…` begins with the line above it. */
export function pathsIn(outline: string): string[] {
  const above: string[] = [];
  const lines = outline.split('\n').filter((each) => each.trim() !== '');
  const least = Math.min(...lines.map((each) => each.search(/\S/)));
  const paths = lines.map((each) => {
    const level = (each.search(/\S/) - least) / 2;
    above.splice(level, above.length, each.trim());
    return above.join(' > ');
  });
  return paths.sort();
}

/** The process that a span's service ran in. */
export const pidOf = ({ instance }: Span): number => Number(instance.split(':').at(-1));
