import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { Objects } from '../bus/objects.ts';
import type { SnapshotStore } from './ports.ts';

const zip = promisify(gzip);
const unzip = promisify(gunzip);

/** Snapshots as objects; packed, since the client hashes what it stores in JavaScript. */
export const natsSnapshots = (objects: Objects): SnapshotStore => ({
  async names() {
    const all = await objects.names();
    const there = await Promise.all(all.map((name) => objects.isThere(name)));
    return all.filter((_, i) => there[i]);
  },
  async get(name) {
    const packed = await objects.get(name);
    return packed && unzip(packed).catch(() => new Uint8Array()); // damaged: the caller checks the content against the name
  },
  async put(name, content) {
    await objects.put(name, await zip(content, { level: 1 }));
  },
  delete: (name) => objects.delete(name),
});
