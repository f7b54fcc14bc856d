// Records the journals of a running Hivebus, for test/simulation/recorded-journals.test.ts: one file a service, with the
// state that they lead to. Run it once for each released version; what is recorded is never changed.
//   node tools/record-journals.mjs <nats url> <version>
import { writeFileSync } from 'node:fs';
import { jetstreamManager } from '@nats-io/jetstream';
import { connectBus } from '../dist/libs/bus/connect.js';
import { natsLog } from '../dist/libs/journal/nats-log.js';
import { Replica } from '../dist/libs/journal/replica.js';
import { readRange } from '../dist/libs/journal/watch.js';
import { journalStream, journalSubject } from '../dist/libs/protocol/subjects.js';
import { registryMachine } from '../dist/services/registry/core/machine.js';
import { createPoolMachine } from '../dist/services/resource-pool/core/machine.js';
import { DEFAULT_SETTINGS } from '../dist/services/resource-pool/core/settings.js';

const [servers, version] = process.argv.slice(2);
const nc = await connectBus({ servers, name: 'recorder' });
const jsm = await jetstreamManager(nc);
for (const machine of [registryMachine('main'), createPoolMachine(DEFAULT_SETTINGS)]) {
  const stream = journalStream('main', machine.service);
  const subject = journalSubject('main', machine.service);
  const log = natsLog({ nc, jsm, stream, subject, source: '/recorder', appendTimeoutMs: 1000 });
  const { last } = await log.bounds();
  const replica = new Replica(machine);
  const lines = [];
  for (const entry of await readRange(log, 0, last)) {
    replica.take(entry);
    lines.push(JSON.stringify({ ...entry, body: Buffer.from(entry.body).toString() }));
  }
  const tables = Object.fromEntries(
    Object.entries(replica.tables()).map(([name, table]) => [name, [...table.entries()]]),
  );
  const file = new URL(`../test/simulation/recorded/${version}-${machine.service}.jsonl`, import.meta.url);
  writeFileSync(file, `${[JSON.stringify({ tables }), ...lines].join('\n')}\n`);
  console.log(`${file.pathname}: ${lines.length} records`);
}
await nc.close();
