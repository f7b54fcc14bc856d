import { createHash } from 'node:crypto';
import { JetStreamApiError, type JetStreamManager, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { Objm } from '@nats-io/obj';
import { natsObjects, type Objects } from '../../libs/bus/objects.ts';
import { STREAM_NOT_FOUND, streamError } from '../../libs/bus/streams.ts';
import { HiveError, quote } from '../../libs/kernel/errors.ts';
import { artefactBucket, objectStream } from '../../libs/protocol/subjects.ts';
import type { Artefact } from '../../libs/wire/hivebus/pool/v1/pool.ts';

/** Of the bucket; the machine's own bound is lower, and what is swept away leaves a while later. */
const MAX_BUCKET_BYTES = 2 ** 31;
/** Whatever is forgotten to be removed leaves by then: tasks last a week at most, and are kept a day. */
const MAX_AGE_NS = 9 * 86_400_000 * 1_000_000;

/** An artefact of a task. */
export interface Whose {
  readonly task: string;
  readonly attempt: number;
  readonly name: string;
}

/** The content of a federation's artefacts, in its object store, part by part. */
export class Artefacts {
  readonly #objects: Objects;

  private constructor(objects: Objects) {
    this.#objects = objects;
  }

  /** Makes the bucket where there is none. */
  static async open(nc: NatsConnection, federation: string, replicas: number): Promise<Artefacts> {
    const name = artefactBucket(federation);
    const jsm = await jetstreamManager(nc);
    const objm = new Objm(nc);
    try {
      const options = { replicas, max_bytes: MAX_BUCKET_BYTES, ttl: MAX_AGE_NS };
      const isMade = await isThere(jsm, objectStream(name));
      const bucket = isMade ? await objm.open(name, false) : await objm.create(name, options);
      return new Artefacts(natsObjects(bucket, jsm, name, 'the store of artefacts'));
    } catch (error) {
      throw streamError(objectStream(name), error);
    }
  }

  /** Stores a part, in place of what was there. */
  async put(whose: Whose, part: number, content: Uint8Array): Promise<void> {
    await this.#objects.put(partName(whose, part), content);
  }

  /** The parts in order. Throws DATA_LOSS after the last when they are not what the digest says, or one is missing. */
  async *read(task: string, artefact: Artefact): AsyncGenerator<Uint8Array> {
    const { attempt, name, parts, bytes, digest } = artefact;
    const hash = createHash('sha256');
    let read = 0;
    for (let part = 0; part < parts; part++) {
      const content = await this.#objects.get(partName({ task, attempt, name }, part));
      if (!content) throw damaged(task, name, `part ${part} of ${parts} is missing`);
      hash.update(content);
      read += content.length;
      yield content;
    }
    const found = `sha256:${hash.digest('base64url')}`;
    if (found !== digest) throw damaged(task, name, `it has ${read} of ${bytes} bytes and the digest ${found}`);
  }

  /** What of the content is nobody's by `isKept`. */
  async strays(isKept: (whose: Whose) => boolean): Promise<string[]> {
    return (await this.#objects.names()).filter((name) => {
      const whose = whoseOf(name);
      return !whose || !isKept(whose);
    });
  }

  remove(name: string): Promise<void> {
    return this.#objects.delete(name);
  }
}

/** Tasks' names have no dots, artefacts' may. */
const partName = ({ task, attempt, name }: Whose, part: number): string => `${task}.${attempt}.${part}.${name}`;

function whoseOf(object: string): Whose | undefined {
  const [, task, attempt, name] = /^([^.]+)\.(\d+)\.\d+\.(.+)$/.exec(object) ?? [];
  return task && name ? { task, attempt: Number(attempt), name } : undefined;
}

async function isThere(jsm: JetStreamManager, stream: string): Promise<boolean> {
  try {
    await jsm.streams.info(stream);
    return true;
  } catch (error) {
    if (error instanceof JetStreamApiError && error.code === STREAM_NOT_FOUND) return false;
    throw error;
  }
}

const damaged = (task: string, name: string, why: string): HiveError =>
  new HiveError('DATA_LOSS', `artefact ${quote(name)} of task ${quote(task)} is damaged in the store: ${why}`, {
    reason: 'ARTEFACT_DAMAGED',
  });
