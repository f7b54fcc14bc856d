import { createHash } from 'node:crypto';
import { HiveError, invalid, quote } from '../kernel/errors.ts';
import {
  ARTEFACT_NAME_RULE,
  isArtefactName,
  MAX_ARTEFACT_BYTES,
  PART_BYTES,
  partsOf,
  RESULT_ARTEFACT,
} from '../protocol/artefacts.ts';
import type { Artefact, Task } from '../wire/hivebus/pool/v1/pool.ts';
import type { Hive } from './hive.ts';

/** An attempt, by which its agent may store. */
export interface Storer {
  readonly task: string;
  readonly attempt: number;
  readonly instance: string;
}

type Storing = Pick<Hive['pool'], 'putArtefactPart' | 'addArtefact'>;

/**
 * Stores a file as an attempt's. `settled` calls until it is accepted or refused for good. Rejects with INVALID_ARGUMENT,
 * RESOURCE_EXHAUSTED, ALREADY_EXISTS for other content of that name, or ABORTED when the attempt is not the agent's.
 */
export async function storeArtefact(
  pool: Storing,
  who: Storer,
  { name, mediaType = '', content }: { name: string; mediaType?: string; content: Uint8Array },
  settled: <T>(call: () => Promise<T>) => Promise<T>,
): Promise<void> {
  if (!isArtefactName(name)) throw invalid([{ field: 'name', value: quote(name), rule: ARTEFACT_NAME_RULE }]);
  const bytes = content.length;
  if (bytes > MAX_ARTEFACT_BYTES) {
    const rule = `is its size in bytes and must be at most ${MAX_ARTEFACT_BYTES}`;
    throw invalid([{ field: name, value: String(bytes), rule }]);
  }
  const parts = partsOf(bytes);
  for (let part = 0; part < parts; part++) {
    const data = Buffer.from(content.subarray(part * PART_BYTES, (part + 1) * PART_BYTES)).toString('base64');
    await settled(() => pool.putArtefactPart({ ...who, name, part, data }));
  }
  const artefact = { name, attempt: who.attempt, mediaType, bytes, digest: digestOf(content), parts };
  await settled(() => pool.addArtefact({ ...who, artefact }));
}

/** An artefact's content. Rejects with DATA_LOSS when it is not what the pool's journal says that it is. */
export async function readArtefact(
  hive: Hive,
  task: string,
  name: string,
): Promise<{ artefact: Artefact; content: Buffer }> {
  const parts: Buffer[] = [];
  let artefact: Artefact | undefined;
  for await (const answer of hive.pool.readArtefact({ task, name })) {
    artefact ??= answer.artefact;
    parts.push(Buffer.from(answer.data, 'base64'));
  }
  const content = Buffer.concat(parts);
  if (artefact && content.length === artefact.bytes && digestOf(content) === artefact.digest)
    return { artefact, content };
  throw new HiveError('DATA_LOSS', `artefact ${quote(name)} of task ${quote(task)} did not arrive as it was stored`, {
    reason: 'ARTEFACT_DAMAGED',
  });
}

/** A task's result, wherever it is kept; undefined when it has none. */
export async function resultOf(hive: Hive, { id, result, artefacts }: Task): Promise<unknown> {
  if (result !== undefined || !artefacts?.items.some(({ name }) => name === RESULT_ARTEFACT)) return result;
  const { content } = await readArtefact(hive, id, RESULT_ARTEFACT);
  return JSON.parse(content.toString());
}

const digestOf = (content: Uint8Array): string => `sha256:${createHash('sha256').update(content).digest('base64url')}`;
