import { Worker } from 'bullmq';
import { answer } from './children.ts';

/** BullMQ's side of tasks.ts: a worker in a process of its own whose jobs do nothing. */
const [queue = '', port = '', concurrency = ''] = process.argv.slice(2);
const worker = new Worker(queue, async () => ({}), {
  connection: { host: '127.0.0.1', port: Number(port), maxRetriesPerRequest: null },
  concurrency: Number(concurrency),
});
await worker.waitUntilReady();

answer(
  async () => ({}),
  () => worker.close(),
);
