import type { JetStreamManager } from '@nats-io/jetstream';
import type { ObjectInfo, ObjectStore } from '@nats-io/obj';
import { HiveError } from '../kernel/errors.ts';
import { objectName, objectPieces, objectStream, objectSubject, objectSubjects } from '../protocol/subjects.ts';

/** A bucket of a JetStream object store. Every call rejects with UNAVAILABLE when the store does not answer. */
export interface Objects {
  /** Of all objects, and of marks of deleted ones that were not removed yet. */
  names(): Promise<string[]>;
  /** Undefined when there is none of that name. What is damaged is given as it is: who reads knows a digest. */
  get(name: string): Promise<Uint8Array | undefined>;
  isThere(name: string): Promise<boolean>;
  /** Takes the place of what has the name. */
  put(name: string, content: Uint8Array): Promise<void>;
  delete(name: string): Promise<void>;
}

/**
 * Objects are read from the leader of the bucket's stream, message by message. The client's own reading goes through a
 * consumer, which on a cluster may live where the stream is not up to date: a good object would seem to be damaged, or
 * not to be there. `what`: the store, for people.
 */
export function natsObjects(bucket: ObjectStore, jsm: JetStreamManager, bucketName: string, what: string): Objects {
  const stream = objectStream(bucketName);
  const asked = async <T>(answer: Promise<T>): Promise<T> => {
    try {
      return await answer;
    } catch (cause) {
      const why = cause instanceof Error ? cause.message : String(cause);
      throw new HiveError('UNAVAILABLE', `${what} did not answer: ${why}`, { cause });
    }
  };
  /** What there is of an object's pieces, one after the other. */
  const readPieces = async (subject: string, count: number): Promise<Buffer> => {
    const pieces: Uint8Array[] = [];
    for (let seq = 1; pieces.length < count; ) {
      const next = { seq, next_by_subj: subject };
      const piece = await asked(jsm.streams.getMessage(stream, next));
      if (!piece) break;
      pieces.push(piece.data);
      seq = piece.seq + 1;
    }
    return Buffer.concat(pieces);
  };
  return {
    async names() {
      const subjects_filter = objectSubjects(bucketName);
      const { state, config, cluster } = await asked(jsm.streams.info(stream, { subjects_filter }));
      if (config.num_replicas > 1 && !cluster?.leader) {
        throw new HiveError('UNAVAILABLE', `${what} ${stream} has no leader at the moment`);
      }
      return Object.keys(state.subjects ?? {}).map(objectName);
    },
    async get(name) {
      const info = await asked(bucket.info(name));
      return isPresent(info) ? readPieces(objectPieces(bucketName, info.nuid), info.chunks) : undefined;
    },
    isThere: async (name) => isPresent(await asked(bucket.info(name))),
    async put(name, content) {
      await asked(bucket.putBlob({ name }, content));
    },
    async delete(name) {
      await asked(bucket.delete(name));
      await asked(jsm.streams.purge(stream, { filter: objectSubject(bucketName, name) })); // the mark of its deletion
    },
  };
}

const isPresent = (info: ObjectInfo | null): info is ObjectInfo => info !== null && !info.deleted;
