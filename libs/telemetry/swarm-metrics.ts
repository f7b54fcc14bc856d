import { metrics, type ObservableResult } from '@opentelemetry/api';
import { disposable } from '../kernel/disposable.ts';

export type Counted = 'agents' | 'tasks' | 'leases' | 'requests';

/**
 * What the swarms do, under the names that dashboards know. Make them once per process, after telemetry has started;
 * they do nothing when there are no metrics.
 */
export interface SwarmMetrics {
  /** `outcome`: succeeded, failed, cancelled, ...; `seconds` from the task's start to its end. */
  taskEnded(federation: string, swarm: string, outcome: string, seconds: number): void;
  /** Asked at each scrape: how many agents, tasks, leases and waiting requests there are, by whatever labels. */
  watch(what: Counted, count: (result: ObservableResult) => void): Disposable;
}

export function createSwarmMetrics(): SwarmMetrics {
  const meter = metrics.getMeter('hivebus');
  const completed = meter.createCounter('swarm_tasks_completed_total', { description: 'Tasks that ended, by outcome' });
  const duration = meter.createHistogram('swarm_task_duration_seconds', {
    description: 'Time from the start of a task to its end',
    unit: 's',
    advice: { explicitBucketBoundaries: [0.01, 0.05, 0.1, 0.5, 1, 5, 10, 30, 60, 300, 900, 3600] },
  });
  const gauges = {
    agents: meter.createObservableGauge('swarm_agents_total', { description: 'Agents that are registered' }),
    tasks: meter.createObservableGauge('pool_tasks', { description: 'Tasks that are known, by state' }),
    leases: meter.createObservableGauge('pool_leases', { description: 'Agents that are lent' }),
    requests: meter.createObservableGauge('pool_agent_requests', { description: 'Requests for agents that wait' }),
  };
  return {
    taskEnded(federation, swarm, outcome, seconds) {
      const labels = { federation, swarm, outcome };
      completed.add(1, labels);
      duration.record(seconds, labels);
    },
    watch(what, count) {
      gauges[what].addCallback(count);
      return disposable(() => gauges[what].removeCallback(count));
    },
  };
}
