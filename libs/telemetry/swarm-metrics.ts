import { metrics, type ObservableResult } from '@opentelemetry/api';

/**
 * What the swarms do, under the names that dashboards know. Make them once per process, after telemetry has started;
 * they do nothing when there are no metrics.
 */
export interface SwarmMetrics {
  /** `outcome`: succeeded, failed, cancelled, ...; `seconds` from the task's start to its end. */
  taskEnded(federation: string, swarm: string, outcome: string, seconds: number): void;
  /** Asked at each scrape: how many agents there are, by whatever labels. */
  watchAgents(count: (result: ObservableResult) => void): void;
}

export function createSwarmMetrics(): SwarmMetrics {
  const meter = metrics.getMeter('hivebus');
  const completed = meter.createCounter('swarm_tasks_completed_total', { description: 'Tasks that ended, by outcome' });
  const duration = meter.createHistogram('swarm_task_duration_seconds', {
    description: 'Time from the start of a task to its end',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600] },
  });
  const agents = meter.createObservableGauge('swarm_agents_total', { description: 'Agents that are registered' });
  return {
    taskEnded(federation, swarm, outcome, seconds) {
      const labels = { federation, swarm, outcome };
      completed.add(1, labels);
      duration.record(seconds, labels);
    },
    watchAgents: (count) => agents.addCallback(count),
  };
}
