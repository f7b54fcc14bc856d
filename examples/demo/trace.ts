import { setTimeout as sleep } from 'node:timers/promises';
import { readTrace } from '../../libs/sdk/index.ts';
import type { DemoFederation } from './federation.ts';
import type { Outcome } from './job.ts';

/** Spans come in a moment after they have ended; longer is not waited, and what is there is shown. */
const PATIENCE_MS = 5000;
const LOOK_EVERY_MS = 100;

/** The trace as `hivebus trace` draws it, once the spans of all that was done are in it; the killed agent's may be lost. */
export async function drawnTrace(
  federation: DemoFederation,
  traceId: string,
  { tasks, killed }: Outcome,
): Promise<string> {
  const agents = tasks
    .filter(({ state }) => state === 'TASK_STATE_SUCCEEDED')
    .map(({ attempts }) => attempts.at(-1)?.agent);
  const expected = agents.filter((agent) => agent !== killed?.agent).length;
  const runsEnded = async () => {
    const { spans } = await readTrace(federation.hive, { traceId });
    return spans.filter(({ name, open, attributes }) => {
      return name.startsWith('run ') && !open && attributes['hivebus.agent'] !== killed?.agent;
    }).length;
  };
  const giveUpAt = performance.now() + PATIENCE_MS;
  while (performance.now() < giveUpAt && (await runsEnded()) < expected) await sleep(LOOK_EVERY_MS);
  return federation.command(['trace', traceId]);
}
