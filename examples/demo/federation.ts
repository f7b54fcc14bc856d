import type { ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Trace } from '../../libs/protocol/machine.ts';
import { connect, createSwarm, type Hive, inBackground, type Swarm } from '../../libs/sdk/index.ts';
import { environmentOfTrace } from '../../libs/sdk/trace-context.ts';
import { Closing } from '../../libs/service/closing.ts';
import { firstJson, Processes } from './processes.ts';

/** Who is there: swarm `code` has the work, the others have the agents. */
export const SWARMS = { code: 1, quality: 2, security: 2 } as const;
export type SwarmName = keyof typeof SWARMS;
/** Of their agents, as they declare it, from 0 to 1000: it tells apart who is alike else. */
const PRIORITIES: Readonly<Record<SwarmName, number>> = { code: 0, quality: 200, security: 100 };

export const AGENT_TYPE = 'analyser';
const ANALYSER = fileURLToPath(new URL('../analysers/analyse-file.js', import.meta.url));
const READY_MS = 30_000;

/** A running Hivebus with three swarms and their agents, each agent a process. */
export interface DemoFederation extends AsyncDisposable {
  readonly nats: string;
  readonly hive: Hive;
  readonly swarms: Readonly<Record<SwarmName, Swarm>>;
  /** By `swarm/name`. */
  readonly agents: ReadonlyMap<string, ChildProcess>;
  /** What `hivebus ARGS…` says there. Rejects when it fails. */
  command(args: readonly string[]): Promise<string>;
}

/**
 * Everything lies in `folder`, and all that is done here belongs to `trace`. Rejects with the reason of `stop` when that
 * comes first, and has then ended what it started.
 */
export async function startFederation(folder: string, trace: Trace, stop: AbortSignal): Promise<DemoFederation> {
  const home = join(folder, '.hivebus');
  const env = { ...ownEnvironment(), HIVEBUS_HOME: home, ...environmentOfTrace(trace) };
  const stack = new Closing();
  try {
    const processes = stack.use(new Processes(folder, env));
    const nats = await startHivebus(processes, folder, home);
    stop.throwIfAborted();
    const hive = stack.use(await connect({ servers: nats, home, env }));
    const swarms = await joinAll(hive, stack);
    stop.throwIfAborted();
    const agents = startAgents(processes, nats);
    await inBackground(() => untilReady(hive, agents, folder, stop));
    const command = (args: readonly string[]) => processes.run('command', ['--nats', nats, ...args]);
    return { nats, hive, swarms, agents, command, [Symbol.asyncDispose]: () => stack[Symbol.asyncDispose]() };
  } catch (error) {
    await stack[Symbol.asyncDispose]();
    throw stop.aborted ? stop.reason : error;
  }
}

/** Settings of another Hivebus on this machine are not ours, nor is a trace that this was started in. */
export const ownEnvironment = (): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) => (!name.startsWith('HIVEBUS_') || name === 'HIVEBUS_NATS_SERVER') && name !== 'TRACEPARENT',
    ),
  );

async function startHivebus(processes: Processes, folder: string, home: string): Promise<string> {
  const child = processes.start('hivebus', ['up', '-o', 'json', '--data', home, '--port', '0', '--grpc-port', '0']);
  try {
    const { nats } = await firstJson<{ nats: string }>(child);
    return nats;
  } catch (error) {
    const log = await readFile(join(folder, 'hivebus.log'), 'utf8').catch(() => '');
    throw new Error(`hivebus did not start: ${(error as Error).message}\n${log}`);
  }
}

async function joinAll(hive: Hive, stack: Closing): Promise<Record<SwarmName, Swarm>> {
  const join = async (name: SwarmName) => {
    const capabilities = [{ agentType: AGENT_TYPE, capacity: SWARMS[name], skills: ['lines', 'marks', 'secrets'] }];
    return stack.use(await createSwarm({ hive, name, project: 'demo', capabilities }));
  };
  const [code, quality, security] = await Promise.all([join('code'), join('quality'), join('security')]);
  return { code, quality, security };
}

function startAgents(processes: Processes, nats: string): Map<string, ChildProcess> {
  const agents = new Map<string, ChildProcess>();
  for (const [swarm, count] of Object.entries(SWARMS)) {
    for (let i = 1; i <= count; i++) {
      const name = `${AGENT_TYPE}-${i}`;
      const priority = String(PRIORITIES[swarm as SwarmName]);
      const where = ['--nats', nats, '--swarm', swarm, '--name', name, '--type', AGENT_TYPE, '--priority', priority];
      const what = ['--drain', '0s', '--', process.execPath, ANALYSER];
      agents.set(`${swarm}/${name}`, processes.start(`${swarm}-${name}`, ['agent', 'run', ...where, ...what]));
    }
  }
  return agents;
}

async function untilReady(
  hive: Hive,
  agents: ReadonlyMap<string, ChildProcess>,
  folder: string,
  stop: AbortSignal,
): Promise<void> {
  const giveUpAt = performance.now() + READY_MS;
  while (performance.now() < giveUpAt) {
    stop.throwIfAborted();
    const answer = await hive.pool.listAgents({ type: AGENT_TYPE, states: ['AGENT_STATE_READY'] });
    if (answer.agents.length === agents.size) return;
    for (const [name, { exitCode }] of agents) {
      if (exitCode === null) continue;
      const log = await readFile(join(folder, `${name.replace('/', '-')}.log`), 'utf8').catch(() => '');
      throw new Error(`agent ${name} ended with exit code ${exitCode}\n${log}`);
    }
    await sleep(50);
  }
  throw new Error(`the agents were not ready after ${READY_MS / 1000} s`);
}
