import type { GetTraceRequest, GetTraceResponse } from '../wire/hivebus/telemetry/v1/telemetry.ts';
import type { Hive } from './hive.ts';

/** Pages that are asked for at most; no keeper has as much of one trace by default. */
const MAX_PAGES = 200;

/** Everything that is kept of one trace, page by page. NOT_FOUND when nothing is; give one of the three. */
export async function readTrace(
  hive: Hive,
  question: Partial<Omit<GetTraceRequest, 'pageToken'>>,
): Promise<Pick<GetTraceResponse, 'spans' | 'missing'>> {
  let page = await hive.telemetry.getTrace(question);
  const spans = [...page.spans];
  const traceId = spans[0]?.traceId ?? '';
  for (let i = 1; i < MAX_PAGES && page.nextPageToken !== ''; i++) {
    page = await hive.telemetry.getTrace({ traceId, pageToken: page.nextPageToken });
    spans.push(...page.spans);
  }
  return { spans, missing: page.missing };
}
