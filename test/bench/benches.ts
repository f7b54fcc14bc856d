import { agentDeathRows } from './agent-death.ts';
import { agentsHeapRows } from './agents-heap.ts';
import { announcementRows } from './announcement.ts';
import { atRestRows } from './at-rest.ts';
import { decisionRows } from './decision.ts';
import { grpcRows } from './grpc.ts';
import type { Row } from './harness.ts';
import { journalRows } from './journal.ts';
import { overloadRows } from './overload.ts';
import { registrationRows } from './registrations.ts';
import { replayRows } from './replay.ts';
import { sessionRows } from './sessions.ts';
import { takeoverRows } from './takeover.ts';
import { taskRows } from './tasks.ts';
import { tracingRows } from './tracing.ts';
import { workloadRows } from './workload.ts';

/** What is measured, by name and in this order. */
export const BENCHES: Readonly<Record<string, () => Promise<Row[]>>> = {
  journal: journalRows,
  replay: replayRows,
  announcement: announcementRows,
  registrations: registrationRows,
  takeover: takeoverRows,
  rest: atRestRows,
  decision: decisionRows,
  heap: agentsHeapRows,
  tracing: tracingRows,
  grpc: grpcRows,
  sessions: sessionRows,
  tasks: taskRows,
  overload: overloadRows,
  death: agentDeathRows,
  workload: workloadRows,
};
