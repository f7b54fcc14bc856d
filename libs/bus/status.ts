import type { NatsConnection, PermissionViolationError, Status } from '@nats-io/nats-core';
import { explainOutages } from './explain-outages.ts';
import { DeniedOnce, notPermitted, permissionViolation } from './permission.ts';

export interface BusStatus {
  readonly level: 'info' | 'warn';
  readonly message: string;
}

/** Tells what happens to a connection, and why it stays down, until it is closed. */
export async function followStatus(nc: NatsConnection, tell: (status: BusStatus) => void): Promise<void> {
  void explainOutages(nc, ({ message }) => tell({ level: 'warn', message }));
  const denied = new DeniedOnce();
  for await (const status of nc.status()) {
    if (status.type === 'reconnect') denied.forget();
    const violation = status.type === 'error' ? permissionViolation(status.error) : undefined;
    if (violation && !denied.isNew(violation)) continue;
    const text = violation ? refused(violation) : describe(status);
    if (text) tell(text);
  }
}

const refused = (violation: PermissionViolationError): BusStatus => ({
  level: 'warn',
  message: notPermitted(violation).message,
});

function describe(status: Status): BusStatus | undefined {
  switch (status.type) {
    case 'disconnect':
      return { level: 'warn', message: `lost the connection to the bus at ${status.server}` };
    case 'reconnect':
      return { level: 'info', message: `connected to the bus again, at ${status.server}` };
    case 'error':
      return { level: 'warn', message: `the bus says: ${status.error.message}` };
    case 'ldm':
      return { level: 'info', message: `the bus server ${status.server} is about to stop` };
    case 'staleConnection':
      return { level: 'warn', message: 'the bus does not answer pings' };
    case 'slowConsumer':
      return { level: 'warn', message: `${status.pending} messages wait on ${status.sub.getSubject()}` };
    default:
      return undefined;
  }
}
