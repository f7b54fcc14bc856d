import type { Client } from '../../libs/rpc/api.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { Closing } from '../../libs/service/closing.ts';
import type { RegistryServiceService } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { type Child, startChild } from './children.ts';
import { measure, median, type Row, times } from './harness.ts';
import { registration } from './registrations.ts';
import type { Answer, Question } from './traced-service.ts';

const IN_FLIGHT = 64;
const ROUNDS = 9;
const COMMANDS = 20_000;
const REGISTRATIONS = 8000;
const MOST = 1.1;

/** Sampled so rarely that nothing is; the machinery is all there. */
const MODES = { off: 'off', unsampled: '0.000000001', always: 'always' } as const;
type Mode = keyof typeof MODES;

interface Traced {
  readonly child: Child;
  readonly registry: Client<typeof RegistryServiceService>;
}

/**
 * Processor time of the service's process for each command, which does not depend on who else uses the machine. The
 * three kinds of telemetry run in three processes, each with a bus of its own, and are measured in turns.
 */
export async function tracingRows(): Promise<Row[]> {
  await using closing = new Closing();
  const collector = closing.use(await startChild('collector'));
  const { port } = await collector.ask<{ port: number }>({});
  const env = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` };
  const traced = {} as Record<Mode, Traced>;
  for (const mode of Object.keys(MODES) as Mode[]) traced[mode] = await start(MODES[mode], env, closing);
  const journal = await costs(traced, (one) => inProcess(one, COMMANDS));
  const rpc = await costs(traced, (one) => overBus(one, REGISTRATIONS));
  return [...rows('journal.execute', journal), ...rows('registrations over the bus', rpc)];
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

/** Microseconds for each command, of rounds in turns, after one to warm up. */
async function costs(
  traced: Record<Mode, Traced>,
  run: (one: Traced) => Promise<number>,
): Promise<Record<Mode, number[]>> {
  const found: Record<Mode, number[]> = { off: [], unsampled: [], always: [] };
  for (let round = 0; round <= ROUNDS; round++) {
    for (const mode of Object.keys(MODES) as Mode[]) {
      const us = await run(traced[mode]);
      if (round > 0) found[mode].push(us);
    }
  }
  return found;
}

/** Ratios are those of neighbours, which saw the same machine. */
function rows(what: string, found: Record<Mode, number[]>): Row[] {
  const row = (mode: Mode, most?: number): Row => {
    const ratio = median(found[mode].map((us, round) => us / (found.off[round] as number)));
    return {
      what: `tracing ${mode}: processor time for each of ${what}, ${IN_FLIGHT} in flight`,
      floor: `off ${median(found.off).toFixed(1)} µs`,
      measured: `${median(found[mode]).toFixed(1)} µs`,
      ratio: times(ratio),
      target: most === undefined ? '' : `at most ${most}x`,
      ok: most === undefined ? undefined : ratio <= most,
    };
  };
  return [row('unsampled', MOST), row('always')];
}
