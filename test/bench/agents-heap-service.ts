import { setTimeout as sleep } from 'node:timers/promises';
import { connectBus } from '../../libs/bus/connect.ts';
import { systemClock } from '../../libs/kernel/clock.ts';
import { serveBus } from '../../libs/rpc/bus-server.ts';
import { operatorKeys } from '../../libs/service/operator-keys.ts';
import { createRegistry } from '../../services/registry/service.ts';
import { createResourcePool } from '../../services/resource-pool/service.ts';
import { answer } from './children.ts';

/**
 * Registry and pool in a process whose heap can be measured. Agents beat once an hour here, so that ten thousand of
 * them do not have to beat every second for the measurement.
 */
const [servers = '', operators = ''] = process.argv.slice(2);
const HEARTBEAT_MS = 3_600_000;

const nc = await connectBus({ servers, name: 'heap' });
const announcer = await connectBus({ servers, name: 'heap-announcer' });
const operatorKey = operatorKeys(operators, systemClock, () => {});
const deps = { nc, announcer, operatorKey };
// Watchers' ring of recent records is bounded whatever the number of agents; here it is small from the start.
const journal = { recentRecords: 16 };
const registry = createRegistry({ journal }, deps);
const pool = createResourcePool({ journal, pool: { heartbeatMs: HEARTBEAT_MS } }, deps);
const bindings = [registry.binding, pool.binding];
const server = await serveBus({ nc, bindings, authenticate: registry.authenticate, version: '0.0.0' });
await Promise.all([registry.ready(), pool.ready()]);

async function heapBytes(): Promise<{ bytes: number }> {
  for (let i = 0; i < 4; i++) {
    globalThis.gc?.();
    await sleep(50);
  }
  const { heapUsed, external } = process.memoryUsage();
  return { bytes: heapUsed + external };
}

answer(heapBytes, async () => {
  await server.stop();
  await pool[Symbol.asyncDispose]();
  await registry[Symbol.asyncDispose]();
  await Promise.all([nc.close(), announcer.close()]);
});
