import type { AddressInfo, Server } from 'node:net';
import { HiveError } from '../kernel/errors.ts';

/**
 * Binds a server and gives the port that it got (0 asks for a free one).
 * @throws HiveError UNAVAILABLE naming the address and `setting`, by which another can be chosen.
 */
export function listen(server: Server, host: string, port: number, setting: string): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(portError(error, host, port, setting)));
    server.listen(port, host, () => resolve((server.address() as AddressInfo).port));
  });
}

function portError(error: Error & { code?: string }, host: string, port: number, setting: string): HiveError {
  const address = `${host}:${port}`;
  const message =
    error.code === 'EADDRINUSE'
      ? `${address} is in use by another process; stop that one, or choose another port by ${setting}`
      : `cannot listen on ${address}: ${error.message}`;
  return new HiveError('UNAVAILABLE', message, { retryable: false, reason: error.code ?? '', cause: error });
}
