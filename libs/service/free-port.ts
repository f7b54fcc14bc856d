import { createServer } from 'node:net';
import { greeting } from '../bus/greeting.ts';
import { HiveError } from '../kernel/errors.ts';
import { listen } from './listen.ts';
import { portHolder } from './port-holder.ts';

/** A server that is there greets at once. */
const GREETING_MS = 1000;

/**
 * Refuses a port that is taken, saying by whom where that can be known; 0 is free.
 * @throws HiveError UNAVAILABLE (PORT_IN_USE), or what else keeps us from listening there. `setting` chooses another.
 */
export async function requireFreePort(host: string, port: number, setting: string): Promise<void> {
  if (port === 0) return;
  const probe = createServer();
  try {
    await listen(probe, host, port, setting);
    await new Promise((resolve) => probe.close(resolve));
  } catch (error) {
    if (!(error instanceof HiveError) || error.reason !== 'EADDRINUSE') throw error;
    throw await inUse(host, port, setting, error);
  }
}

async function inUse(host: string, port: number, setting: string, cause: HiveError): Promise<HiveError> {
  const found = await greeting(host, port, GREETING_MS);
  const holder = portHolder(port) ?? 'another process';
  const where = `${host}:${port}`;
  const [who, instead] =
    found.by === 'nats'
      ? [`a nats-server ${found.version} listens on ${where} already (${holder})`, `use it with --nats nats://${where}`]
      : [`${where} is in use by ${holder}`, 'name a NATS server that runs by --nats URL'];
  const message = `${who}; choose another port by ${setting}${setting === '--port' ? `, or ${instead}` : ''}`;
  return new HiveError('UNAVAILABLE', message, { retryable: false, reason: 'PORT_IN_USE', cause });
}
