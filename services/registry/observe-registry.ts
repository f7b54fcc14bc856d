import { metrics, type ObservableResult } from '@opentelemetry/api';
import type { Journal } from '../../libs/journal/journal.ts';
import { disposable } from '../../libs/kernel/disposable.ts';
import type { RegistryShape } from './core/state.ts';

/** Counts a federation's swarms at each scrape, on the replica that leads, so that replicas do not add up. */
export function observeRegistry(journal: Journal<RegistryShape>): Disposable {
  const { federation } = journal;
  const swarms = metrics.getMeter('hivebus').createObservableGauge('registry_swarms', {
    description: 'Swarms that are registered, by liveness',
  });
  const count = (result: ObservableResult) => {
    if (journal.role !== 'leader') return;
    const counts = new Map<string, number>();
    for (const { liveness } of journal.state.swarms.values()) {
      const word = liveness.slice('LIVENESS_'.length).toLowerCase();
      counts.set(word, (counts.get(word) ?? 0) + 1);
    }
    for (const [liveness, number] of counts) result.observe(number, { federation, liveness });
  };
  swarms.addCallback(count);
  return disposable(() => swarms.removeCallback(count));
}
