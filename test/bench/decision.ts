import type { Ctx } from '../../libs/protocol/machine.ts';
import type { TaskSpec } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { createPoolMachine } from '../../services/resource-pool/core/machine.ts';
import { meets, wishOf } from '../../services/resource-pool/core/need.ts';
import { DEFAULT_SETTINGS } from '../../services/resource-pool/core/settings.ts';
import type { PoolShape, PoolState } from '../../services/resource-pool/core/state.ts';
import { type Row, times } from './harness.ts';

const SWARM = 'crowd';
const TYPE = 'worker';
const CLASSES = 50;
const FEW = 10_000;
const MANY = 1_000_000;
const MOST_US = 2;
const MOST_GROWTH = 2;
const LEAST_GAIN = 50;
const MOST_FOR_REASONS = 2;

const SETTINGS = { ...DEFAULT_SETTINGS, maxAgents: MANY };
/** Decides, and keeps nothing of what it compared. */
const bare = createPoolMachine({ ...SETTINGS, keptScores: 0 });
/** As services run. */
const telling = createPoolMachine(SETTINGS);

/**
 * The pool's decision alone, without journal or bus: a task is submitted and given to the best of many agents, all of
 * its type and half of them able to do it, in classes of which each has to be judged. Compared with looking at every
 * agent, with a hundred times as many, and with what a service keeps: the scores of the three best.
 */
export async function decisionRows(): Promise<Row[]> {
  const few = crowd(FEW);
  const fewUs = decisionUs(few);
  const scanUs = bestOf(50, 4, () => scan(few));
  const toldUs = decisionUs(crowd(FEW, telling), telling);
  const manyUs = decisionUs(crowd(MANY));
  const what = 'a decision alone: a task submitted and given to the best of';
  const us = (value: number) => `${value.toFixed(2)} µs`;
  return [
    {
      what: `${what} ${FEW.toLocaleString('en')} agents in ${CLASSES} classes`,
      floor: `linear scan ${us(scanUs)}`,
      measured: us(fewUs),
      ratio: times(scanUs / fewUs),
      target: `under ${MOST_US} µs, at least ${LEAST_GAIN}x`,
      ok: fewUs < MOST_US && scanUs / fewUs >= LEAST_GAIN,
    },
    {
      what: `${what} ${FEW.toLocaleString('en')} agents, with the scores of the ${SETTINGS.keptScores} best kept`,
      floor: `without ${us(fewUs)}`,
      measured: us(toldUs),
      ratio: times(toldUs / fewUs),
      target: `at most ${MOST_FOR_REASONS}x`,
      ok: toldUs / fewUs <= MOST_FOR_REASONS,
    },
    {
      what: `${what} ${MANY.toLocaleString('en')} agents in ${CLASSES} classes`,
      floor: `${FEW.toLocaleString('en')} agents ${us(fewUs)}`,
      measured: us(manyUs),
      ratio: times(manyUs / fewUs),
      target: `at most ${MOST_GROWTH}x`,
      ok: manyUs / fewUs <= MOST_GROWTH,
    },
  ];
}

const spec: TaskSpec = {
  swarm: SWARM,
  type: TYPE,
  capabilities: ['even'],
  script: '',
  timeoutMs: 0,
  maxAttempts: 0,
  priority: 0,
  labels: {},
  title: '',
  selector: { labels: {}, specialisations: ['rust'], region: 'r1' },
};

/** A state with so many idle agents, a tenth of them with one of two slots in use. */
function crowd(agents: number, machine = bare): PoolState {
  const state = machine.init();
  for (let i = 0; i < agents; i++) {
    const kind = i % CLASSES;
    const agent = {
      ...{ swarm: SWARM, name: `a${i}`, type: TYPE, slots: 2, instance: 'i1', allowScripts: false },
      capabilities: kind % 2 === 0 ? ['even'] : ['odd'],
      region: `r${kind % 5}`,
      priority: (i * 7919) % 1000,
      labels: { kind: String(kind) },
      specialisations: kind % 3 === 0 ? ['rust'] : [],
      cost: (i * 104_729) % 1000,
      ...({ state: 'AGENT_STATE_READY', busy: 0, lease: '', serving: '', revision: '0' } as const),
    };
    const at = { revision: i + 1, index: 0, time: 1 };
    machine.events['agent.registered'].apply(state, { agent, ownerKey: 'key', registration: '' }, at);
    if (i % 10 === 0) state.workers.hold(`${SWARM}/a${i}`, `t${i}`, true);
  }
  return state;
}

const ctx: Ctx<PoolShape['soft']> = {
  ...{ now: 1, revision: 1, epoch: 1, epochStart: 1 },
  principal: { kind: 'operator', name: 'bench', key: 'key' },
  trace: { traceparent: '', correlationId: 'bench', hops: 0 },
  soft: { swarms: { synced: true, keyOf: () => 'key', registrationOf: () => '', names: () => [] } },
  id: (prefix) => `${prefix}-bench`,
};

function decisionUs(state: PoolState, machine = bare): number {
  const decide = () => machine.commands.submitTask(state, { id: 'task', spec }, ctx).events.length;
  if (decide() !== 2) throw new Error('the task was not given out');
  return bestOf(200, 1000, decide);
}

/** What a pool without classes and order would do. */
function scan(state: PoolState): string {
  const wish = wishOf(spec);
  let best = '';
  let most = -1;
  for (const row of state.agents.values()) {
    const worker = state.workers.get(row.key);
    if (!worker || row.type !== TYPE || row.serving !== SWARM || row.state !== 'AGENT_STATE_READY') continue;
    if (worker.busy >= row.slots || !meets(worker.offer, wish.need)) continue;
    const score = state.scoring.fit(worker.offer, wish) + worker.rank;
    if (score < most || (score === most && row.key > best)) continue;
    best = row.key;
    most = score;
  }
  return best;
}

/** Microseconds that one call takes: the best of many short rounds, which nothing else on the machine has interrupted. */
function bestOf(rounds: number, count: number, once: () => unknown): number {
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round < rounds; round++) {
    const began = performance.now();
    for (let i = 0; i < count; i++) once();
    best = Math.min(best, ((performance.now() - began) * 1000) / count);
  }
  return best;
}
