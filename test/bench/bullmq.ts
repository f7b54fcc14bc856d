import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { Queue, QueueEvents } from 'bullmq';
import { randomId } from '../../libs/kernel/ids.ts';
import { startChild } from './children.ts';
import { startRedis } from './redis.ts';

/** BullMQ with a Redis of its own and one worker in a process of its own. */
export interface BullMq extends AsyncDisposable {
  /** What was measured, with its settings. */
  readonly settings: string;
  /** Adds a job and waits until it was done. */
  addToDone(): Promise<void>;
}

/** Finished jobs are removed but for the last thousand, as its guide for production advises. */
const KEEP = { removeOnComplete: { count: 1000 }, removeOnFail: { count: 5000 } };

export async function startBullMq(appendfsync: 'everysec' | 'always', concurrency: number): Promise<BullMq> {
  const redis = await startRedis(appendfsync);
  const connection = { host: '127.0.0.1', port: redis.port };
  const name = `bench-${randomId(6)}`;
  const worker = await startChild('bullmq-worker', [name, String(redis.port), String(concurrency)]);
  const queue = new Queue(name, { connection, defaultJobOptions: KEEP });
  const events = new QueueEvents(name, { connection, lastEventId: '0' }); // from the first one on, which came before it listened
  const waiting = new Map<string, () => void>();
  events.on('completed', ({ jobId }) => waiting.get(jobId)?.());
  await Promise.all([queue.waitUntilReady(), events.waitUntilReady()]);
  let count = 0;
  return {
    settings: `BullMQ ${version()} on Redis ${redis.version} (AOF ${appendfsync}, concurrency ${concurrency})`,
    async addToDone() {
      const jobId = `j${count++}`;
      const done = new Promise<void>((resolve) => waiting.set(jobId, resolve));
      await queue.add('worker', { file: 'main.ts' }, { jobId });
      await done;
      waiting.delete(jobId);
    },
    async [Symbol.asyncDispose]() {
      await worker[Symbol.asyncDispose]();
      await events.close();
      await queue.close();
      await redis[Symbol.asyncDispose]();
    },
  };
}

function version(): string {
  const path = createRequire(import.meta.url).resolve('bullmq/package.json');
  return (JSON.parse(readFileSync(path, 'utf8')) as { version: string }).version;
}
