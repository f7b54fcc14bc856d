import type { Journal } from '../../libs/journal/journal.ts';
import type { SwarmMetrics } from '../../libs/telemetry/swarm-metrics.ts';
import type { PoolShape } from './core/state.ts';

const word = (value: string, prefix: string): string => value.slice(prefix.length).toLowerCase();

/** Counts a federation's agents and ended tasks, on the replica that leads, so that replicas do not add up. */
export function observePool(journal: Journal<PoolShape>, metrics: SwarmMetrics): Disposable {
  const { federation } = journal;
  metrics.watchAgents((result) => {
    if (journal.role !== 'leader') return;
    const counts = new Map<string, number>();
    for (const { home, type, state } of journal.state.agents.values()) {
      const key = `${home} ${type} ${word(state, 'AGENT_STATE_')}`;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    for (const [key, count] of counts) {
      const [swarm, type, state] = key.split(' ');
      result.observe(count, { federation, swarm, type, state });
    }
  });
  return journal.onCommitted(({ events, time }) => {
    if (journal.role !== 'leader') return;
    for (const event of events) {
      if (event.type !== 'task.ended') continue;
      const task = journal.state.tasks.get(event.data.task);
      if (!task) continue;
      const startedAt = task.attempts[event.data.attempt - 1]?.startedAt || task.submittedAt;
      metrics.taskEnded(federation, task.spec.swarm, word(event.data.state, 'TASK_STATE_'), (time - startedAt) / 1000);
    }
  });
}
