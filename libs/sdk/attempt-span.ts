import { SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { assignmentSubject } from '../protocol/subjects.ts';
import { ATTRIBUTE, messaging } from '../telemetry/attributes.ts';
import type { SpanOptions } from '../telemetry/span.ts';
import type { Assignment } from '../wire/hivebus/pool/v1/pool.ts';
import type { Ending } from './attempt.ts';
import { inWords } from './reports.ts';

/** Whose attempt it is; `agent` as `swarm/name`. */
interface By {
  readonly federation: string;
  readonly agent: string;
  readonly instance: string;
}

/** The span of an attempt, from its assignment to its report. */
export function attemptSpan(
  assignment: Assignment,
  { federation, agent, instance }: By,
): [name: string, options: SpanOptions] {
  const { task, attempt, traceparent, spec } = assignment;
  const [swarm = '', name = ''] = agent.split('/');
  const subject = assignmentSubject(federation, swarm, name, instance);
  const type = spec?.type ?? '';
  const attributes = {
    ...messaging({ name: 'run', type: 'process', subject, trace: assignment }),
    [ATTRIBUTE.task]: task,
    [ATTRIBUTE.taskType]: type,
    [ATTRIBUTE.taskTitle]: spec?.title ?? '',
    [ATTRIBUTE.attempt]: attempt,
    [ATTRIBUTE.agent]: agent,
    [ATTRIBUTE.instance]: instance,
  };
  return [`run ${type}`, { kind: SpanKind.CONSUMER, parent: traceparent, attributes }];
}

/** What came of an attempt, in its span, if it has one. */
export function tellSpan({ outcome, reason }: Ending): void {
  const span = trace.getActiveSpan();
  span?.setAttribute(ATTRIBUTE.outcome, inWords(outcome));
  if (outcome !== 'OUTCOME_SUCCEEDED') span?.setStatus({ code: SpanStatusCode.ERROR, message: reason });
}
