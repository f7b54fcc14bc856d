import { createServer } from 'node:http';
import { listen } from './listen.ts';

/** By name: what must hold before requests are welcome. Gives the reason while it does not. */
export type Checks = Readonly<Record<string, () => string | undefined>>;

export interface Health extends AsyncDisposable {
  readonly port: number;
}

/**
 * Serves `/livez` (the process answers) and `/readyz` (every check holds and nobody asked us to stop: 200, else 503),
 * both with a JSON body that says what is missing.
 */
export async function startHealth(options: {
  readonly host: string;
  readonly port: number;
  readonly checks: Checks;
  /** Aborts when stopping begins: from then on not ready, so that no new work is sent here. */
  readonly signal: AbortSignal;
}): Promise<Health> {
  const { host, port, checks, signal } = options;
  const server = createServer((request, response) => {
    const path = request.url?.split('?', 1)[0];
    const known = path === '/livez' || path === '/readyz';
    const missing = path === '/readyz' ? missingOf(checks, signal) : {};
    const status = !known ? 404 : Object.keys(missing).length > 0 ? 503 : 200;
    response.writeHead(status, { 'content-type': 'application/json' });
    response.end(`${JSON.stringify(known ? { ok: status === 200, missing } : { paths: ['/livez', '/readyz'] })}\n`);
  });
  const bound = await listen(server, host, port, 'HIVEBUS_HEALTH_PORT');
  return {
    port: bound,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function missingOf(checks: Checks, signal: AbortSignal): Record<string, string> {
  const missing: Record<string, string> = signal.aborted ? { process: 'stopping' } : {};
  for (const [name, check] of Object.entries(checks)) {
    const reason = check();
    if (reason !== undefined) missing[name] = reason;
  }
  return missing;
}
