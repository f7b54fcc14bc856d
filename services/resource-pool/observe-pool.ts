import type { Journal } from '../../libs/journal/journal.ts';
import { disposable } from '../../libs/kernel/disposable.ts';
import type { Counted, SwarmMetrics } from '../../libs/telemetry/swarm-metrics.ts';
import type { PoolShape } from './core/state.ts';

const word = (value: string, prefix: string): string => value.slice(prefix.length).toLowerCase();

type Labels = Readonly<Record<string, string>>;
type PoolState = PoolShape['state'];

const STATES = ['blocked', 'queued', 'assigned', 'running', 'succeeded', 'failed', 'cancelled'] as const;

/** How many there are, for each combination of labels. What may be none is said to be none. */
const COUNTED: Readonly<Record<Counted, (state: PoolState) => Iterable<[Labels, number]>>> = {
  agents: ({ agents }) =>
    tally(agents.values(), ({ home, type, state }) => ({ swarm: home, type, state: word(state, 'AGENT_STATE_') })),
  *tasks({ tasks }) {
    yield* STATES.map((state): [Labels, number] => [{ state }, 0]);
    yield* tally(tasks.values(), ({ state }) => ({ state: word(state, 'TASK_STATE_') }));
  },
  *leases({ leases }) {
    let lent = 0;
    for (const { endedAt } of leases.values()) if (endedAt === 0) lent++;
    yield [{}, lent];
  },
  requests: ({ requests }) => [[{}, requests.size]],
};

/** Counts what a federation has, and its ended tasks, on the replica that leads, so that replicas do not add up. */
export function observePool(journal: Journal<PoolShape>, metrics: SwarmMetrics): Disposable {
  const { federation } = journal;
  const watching = (Object.keys(COUNTED) as Counted[]).map((what) =>
    metrics.watch(what, (result) => {
      if (journal.role !== 'leader') return;
      for (const [labels, number] of COUNTED[what](journal.state)) {
        result.observe(number, { federation, ...labels });
      }
    }),
  );
  const following = journal.onCommitted(({ events, time }) => {
    if (journal.role !== 'leader') return;
    for (const event of events) {
      if (event.type !== 'task.ended') continue;
      const task = journal.state.tasks.get(event.data.task);
      if (!task) continue;
      const startedAt = task.attempts[event.data.attempt - 1]?.startedAt || task.submittedAt;
      metrics.taskEnded(federation, task.spec.swarm, word(event.data.state, 'TASK_STATE_'), (time - startedAt) / 1000);
    }
  });
  const dispose = () => {
    for (const each of [...watching, following]) each[Symbol.dispose]();
  };
  return disposable(dispose);
}

function tally<T>(items: Iterable<T>, labelsOf: (item: T) => Labels): Iterable<[Labels, number]> {
  const counts = new Map<string, [Labels, number]>();
  for (const item of items) {
    const labels = labelsOf(item);
    const key = Object.values(labels).join(' ');
    const entry = counts.get(key);
    if (entry) entry[1]++;
    else counts.set(key, [labels, 1]);
  }
  return counts.values();
}
