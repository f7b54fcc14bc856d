import type { Client } from '../../libs/rpc/api.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { Closing } from '../../libs/service/closing.ts';
import type { RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { type Child, startChild } from './children.ts';
import { measure, median, type Row, times } from './harness.ts';
import { registration } from './registrations.ts';
import type { Answer, Question } from './traced-service.ts';

const IN_FLIGHT = 64;
const SETS = 9;
const WARM_UP = 4;
const ROUNDS = 4;
const COMMANDS = 20_000;
const REGISTRATIONS = 8000;
const MOST = 1.1;

/** Sampled so rarely that nothing is; the machinery is all there. */
const MODES = { off: 'off', unsampled: '0.000000001', always: 'always' } as const;
type Mode = keyof typeof MODES;

/** What is measured, as microseconds for one. */
const WORK = {
  'journal.execute': (traced: Traced) => inProcess(traced, COMMANDS),
  'registrations over the bus': (traced: Traced) => overBus(traced, REGISTRATIONS),
};
type What = keyof typeof WORK;
const WHATS = Object.keys(WORK) as What[];

/** Microseconds for one, in one process of each kind. */
type Costs = ReadonlyMap<`${Mode} ${What}`, number>;

interface Traced {
  readonly child: Child;
  readonly registry: Client<typeof RegistryServiceService>;
}

/**
 * Processor time of the service's process for each command, which does not depend on who else uses the machine. Two
 * processes of one kind differ by a tenth, and the first 80,000 commands are dearer while V8 compiles: hence pairs of
 * processes, warmed up. What sampling everything costs has no target, so one process tells it.
 */
export async function tracingRows(): Promise<Row[]> {
  await using closing = new Closing();
  const collector = closing.use(await startChild('collector'));
  const { port } = await collector.ask<{ port: number }>({});
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  const sets = [await measuredSet(['always', 'off', 'unsampled'], env)];
  while (sets.length < SETS) {
    sets.push(await measuredSet(sets.length % 2 === 0 ? ['off', 'unsampled'] : ['unsampled', 'off'], env));
  }
  return WHATS.flatMap((what) => [row(what, 'unsampled', sets, MOST), row(what, 'always', sets.slice(0, 1))]);
}

/** Runs a process of each of `modes` and measures them in turns. */
async function measuredSet(modes: readonly Mode[], env: NodeJS.ProcessEnv): Promise<Costs> {
  await using closing = new Closing();
  const running: [Mode, Traced][] = [];
  for (const mode of modes) running.push([mode, await start(MODES[mode], env, closing)]);
  const costs = new Map<`${Mode} ${What}`, number>();
  for (const what of WHATS) {
    const rounds: number[][] = [];
    for (let round = 0; round < WARM_UP + ROUNDS; round++) {
      const found: number[] = [];
      for (const [, traced] of running) found.push(await WORK[what](traced));
      if (round >= WARM_UP) rounds.push(found);
    }
    for (const [i, mode] of modes.entries()) {
      costs.set(`${mode} ${what}`, median(rounds.map((found) => found[i] as number)));
    }
  }
  return costs;
}

async function start(mode: string, env: NodeJS.ProcessEnv, closing: Closing): Promise<Traced> {
  const child = closing.use(await startChild('traced-service', [mode], { env }));
  const { url } = await child.ask<Answer>({ commands: 0 } satisfies Question);
  const { registry } = closing.use(await connect({ servers: url, env: {} }));
  return { child, registry };
}

const processorUs = async ({ child }: Traced): Promise<number> =>
  (await child.ask<Answer>({ commands: 0 } satisfies Question)).processorUs;

async function inProcess(traced: Traced, commands: number): Promise<number> {
  const before = await processorUs(traced);
  const after = await traced.child.ask<Answer>({ commands } satisfies Question);
  return (after.processorUs - before) / commands;
}

async function overBus(traced: Traced, count: number): Promise<number> {
  const before = await processorUs(traced);
  await measure(IN_FLIGHT, count, (i) => traced.registry.registerSwarm(registration(i)));
  return ((await processorUs(traced)) - before) / count;
}

/** The ratio is the median of those within a set, which saw the same machine. */
function row(what: What, mode: Mode, sets: readonly Costs[], most?: number): Row {
  const us = (of: Mode) => sets.map((costs) => costs.get(`${of} ${what}`) as number);
  const off = us('off');
  const ratio = median(us(mode).map((cost, i) => cost / (off[i] as number)));
  return {
    what: `tracing ${mode}: processor time for each of ${what}, ${IN_FLIGHT} in flight`,
    floor: `off ${median(off).toFixed(1)} µs`,
    measured: `${median(us(mode)).toFixed(1)} µs`,
    ratio: times(ratio),
    target: most === undefined ? '' : `at most ${most}x`,
    ok: most === undefined ? undefined : ratio <= most,
  };
}
