// Everything that happens, read with the CloudEvents SDK: what Hivebus sends on the bus are CloudEvents in binary mode.
//   node dist/examples/clients/cloud-events.js [URL] [SUBJECT]
import { connect } from '@nats-io/transport-node';
import { type CloudEvent, HTTP } from 'cloudevents';

const [servers = 'nats://127.0.0.1:4222', subject = 'hive.main.>'] = process.argv.slice(2);
const nc = await connect({ servers });
const subscription = nc.subscribe(subject);
await nc.flush();
console.error(`listening on ${subject} at ${servers}`);
for await (const message of subscription) {
  // NATS headers have the names of the HTTP binding, so its binary mode reads them as they are.
  const headers = Object.fromEntries([...(message.headers ?? [])].map(([name, [value]]) => [name, value]));
  const received = { headers, body: message.string() };
  if (HTTP.isEvent(received)) console.log(JSON.stringify(HTTP.toEvent(received) as CloudEvent));
  else console.error(`${message.subject}: not a CloudEvent`); // a request by hand, a line of a task's output
}
