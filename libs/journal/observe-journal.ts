import { metrics, type ObservableResult } from '@opentelemetry/api';
import type { Journal } from './journal.ts';

type Observed = Pick<Journal<never>, 'federation' | 'role' | 'revision'>;

/** Where a replica stands, asked at each scrape until its journal has stopped: who leads, and how far others are behind. */
export function observeJournal(journal: Observed, service: string): void {
  const meter = metrics.getMeter('hivebus');
  const labels = { service, federation: journal.federation };
  const revision = meter.createObservableGauge('journal_revision', {
    description: 'The last committed revision that this replica knows',
  });
  const leading = meter.createObservableGauge('journal_leading', { description: 'Whether this replica leads: 1 or 0' });
  const observe = (gauge: typeof revision, value: () => number) => {
    const callback = (result: ObservableResult) => {
      if (journal.role === 'stopped') gauge.removeCallback(callback);
      else result.observe(value(), labels);
    };
    gauge.addCallback(callback);
  };
  observe(revision, () => journal.revision);
  observe(leading, () => (journal.role === 'leader' ? 1 : 0));
}
