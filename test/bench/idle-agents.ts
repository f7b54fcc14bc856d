import { systemClock } from '../../libs/kernel/clock.ts';
import { heartbeatSubject } from '../../libs/protocol/subjects.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { measure } from './harness.ts';

const LENDER = 'lender';
const TYPE = 'worker';
/** More than there are calls in flight, so that none finds no agent free. */
const AGENTS = 640;
const BEAT_MS = 1000;
/** Heartbeats at a time. */
const AT_ONCE = 10;

/** What asks for one of `idleAgents`. */
export const WISH = { swarm: 'borrower', type: TYPE, lender: LENDER, capabilities: [] };

/** Agents that do nothing but live, on one connection. */
export async function idleAgents(hive: Hive): Promise<Disposable> {
  for (const name of [LENDER, WISH.swarm]) await hive.registry.registerSwarm({ name });
  const names = Array.from({ length: AGENTS }, (_, i) => `a-${i}`);
  hive.nc.subscribe(`_HIVE.main.agent.${LENDER}.>`, { callback: (_, message) => void message.respond() });
  const register = (name: string) =>
    hive.pool.registerAgent({ swarm: LENDER, name, type: TYPE, instance: 'i1', slots: 1 });
  await measure(64, AGENTS, (i) => register(names[i] as string));
  let isOver = false;
  // As agents do that were not started at once: a few at a time.
  const beat = (from: number) => {
    if (isOver || hive.nc.isClosed()) return;
    for (const agent of names.slice(from, from + AT_ONCE)) {
      const data = { swarm: LENDER, agent, instance: 'i1', busy: 0 };
      hive.publish(heartbeatSubject('main', LENDER, agent), 'hivebus.pool.v1.AgentHeartbeat', data);
    }
    systemClock.after((BEAT_MS * AT_ONCE) / AGENTS, () => beat((from + AT_ONCE) % AGENTS));
  };
  beat(0);
  return {
    [Symbol.dispose]: () => {
      isOver = true;
    },
  };
}
