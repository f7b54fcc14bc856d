import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { ObjectStore } from '@nats-io/obj';
import { HiveError } from '../kernel/errors.ts';
import type { SnapshotStore } from './ports.ts';

const zip = promisify(gzip);
const unzip = promisify(gunzip);

/** Snapshots as objects of a JetStream object store; packed, since the client hashes what it stores in JavaScript. */
export function natsSnapshots(bucket: ObjectStore): SnapshotStore {
  return {
    async names() {
      const objects = await asked(bucket.list());
      return objects.filter((object) => !object.deleted).map((object) => object.name);
    },
    async get(name) {
      const info = await asked(bucket.info(name));
      if (!info || info.deleted) return undefined;
      try {
        return await unzip((await bucket.getBlob(name)) ?? new Uint8Array());
      } catch {
        return new Uint8Array(); // damaged: the caller checks the content against the name
      }
    },
    async put(name, content) {
      await asked(bucket.putBlob({ name }, await zip(content, { level: 1 })));
    },
    async delete(name) {
      await asked(bucket.delete(name));
    },
  };
}

async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HiveError('UNAVAILABLE', `the snapshot store did not answer: ${why}`, { cause });
  }
}
