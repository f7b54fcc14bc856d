import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import type { JetStreamManager } from '@nats-io/jetstream';
import type { ObjectInfo, ObjectStore } from '@nats-io/obj';
import { HiveError } from '../kernel/errors.ts';
import { objectName, objectPieces, objectStream, objectSubject, objectSubjects } from '../protocol/subjects.ts';
import type { SnapshotStore } from './ports.ts';

const zip = promisify(gzip);
const unzip = promisify(gunzip);

/**
 * Snapshots as objects of a JetStream object store; packed, since the client hashes what it stores in JavaScript.
 * They are read from the leader of the store's stream, message by message. The client's own reading goes through a
 * consumer, which on a cluster may live where the stream is not up to date: a good snapshot would seem to be damaged,
 * or not to be there, and be removed.
 */
export function natsSnapshots(bucket: ObjectStore, jsm: JetStreamManager, bucketName: string): SnapshotStore {
  const stream = objectStream(bucketName);
  return {
    async names() {
      const subjects_filter = objectSubjects(bucketName);
      const { state, config, cluster } = await asked(jsm.streams.info(stream, { subjects_filter }));
      if (config.num_replicas > 1 && !cluster?.leader) throw noLeader(stream);
      const all = Object.keys(state.subjects ?? {}).map(objectName);
      const infos = await Promise.all(all.map((name) => asked(bucket.info(name))));
      return infos.filter(isThere).map(({ name }) => name);
    },
    async get(name) {
      const info = await asked(bucket.info(name));
      if (!isThere(info)) return undefined;
      const packed = await readPieces(jsm, stream, objectPieces(bucketName, info.nuid), info.chunks);
      return unzip(packed).catch(() => new Uint8Array()); // damaged: the caller checks the content against the name
    },
    async put(name, content) {
      await asked(bucket.putBlob({ name }, await zip(content, { level: 1 })));
    },
    async delete(name) {
      await asked(bucket.delete(name));
      await asked(jsm.streams.purge(stream, { filter: objectSubject(bucketName, name) })); // the mark of its deletion
    },
  };
}

const isThere = (info: ObjectInfo | null): info is ObjectInfo => info !== null && !info.deleted;

/** What there is of an object's pieces, one after the other. */
async function readPieces(jsm: JetStreamManager, stream: string, subject: string, count: number): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (let seq = 1; pieces.length < count; ) {
    const next = { seq, next_by_subj: subject };
    const piece = await asked(jsm.streams.getMessage(stream, next));
    if (!piece) break;
    pieces.push(piece.data);
    seq = piece.seq + 1;
  }
  return Buffer.concat(pieces);
}

const noLeader = (stream: string): HiveError =>
  new HiveError('UNAVAILABLE', `the snapshot store ${stream} has no leader at the moment`);

async function asked<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new HiveError('UNAVAILABLE', `the snapshot store did not answer: ${why}`, { cause });
  }
}
