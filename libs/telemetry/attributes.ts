import type { Attributes } from '@opentelemetry/api';
import type { Trace } from '../protocol/machine.ts';

/**
 * Names of span attributes: OpenTelemetry's semantic conventions (1.45; those of messaging are still in development),
 * and ours below `hivebus.`. Nowhere else is one written.
 */
export const ATTRIBUTE = {
  errorType: 'error.type',
  rpcSystem: 'rpc.system.name',
  rpcMethod: 'rpc.method',
  rpcStatus: 'rpc.status_code',
  messagingSystem: 'messaging.system.name',
  /** The whole subject. */
  destination: 'messaging.destination.name',
  /** The subject without what differs from message to message. */
  destinationTemplate: 'messaging.destination.template',
  /** What is done, in our words. */
  operationName: 'messaging.operation.name',
  /** `send` or `process`. */
  operationType: 'messaging.operation.type',
  messageId: 'messaging.message.id',
  bodySize: 'messaging.message.body.size',
  batchSize: 'messaging.batch.message_count',
  executable: 'process.executable.name',
  pid: 'process.pid',
  exitCode: 'process.exit.code',
  /** Which service of ours, as in subjects: one process may be several. */
  service: 'hivebus.service',
  federation: 'hivebus.federation',
  correlationId: 'hivebus.correlation_id',
  task: 'hivebus.task.id',
  taskType: 'hivebus.task.type',
  taskTitle: 'hivebus.task.title',
  attempt: 'hivebus.task.attempt',
  outcome: 'hivebus.task.outcome',
  /** Lines of output of an attempt, those that were too many to be kept among them. */
  logLines: 'hivebus.task.log_lines',
  agent: 'hivebus.agent',
  instance: 'hivebus.agent.instance',
  /** Sequence of a record in its journal. */
  revision: 'hivebus.journal.revision',
  epoch: 'hivebus.journal.epoch',
  /** What became of an append, or of a delivery. */
  answer: 'hivebus.answer',
} as const;

export interface Messaging {
  /** E.g. `publish`. */
  readonly name: string;
  readonly type: 'send' | 'process';
  /** The whole subject. */
  readonly subject: string;
  /** Default: the subject. */
  readonly template?: string;
  readonly trace: Pick<Trace, 'correlationId'>;
  /** Which service of ours does it, as in subjects. */
  readonly service?: string;
}

/** What a span of one message says of it. */
export const messaging = ({ name, type, subject, template, trace, service }: Messaging): Attributes => ({
  [ATTRIBUTE.messagingSystem]: 'nats',
  [ATTRIBUTE.operationName]: name,
  [ATTRIBUTE.operationType]: type,
  [ATTRIBUTE.destination]: subject,
  ...(template && { [ATTRIBUTE.destinationTemplate]: template }),
  ...(service && { [ATTRIBUTE.service]: service }),
  [ATTRIBUTE.correlationId]: trace.correlationId,
});
