import { isUtf8 } from 'node:buffer';
import { type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { HiveError, quote } from '../../libs/kernel/errors.ts';
import { unreadable } from '../values.ts';
import { type Fault, fault } from './faults.ts';

/** A text and where it comes from, as faults name it. */
export interface Source {
  readonly file: string;
  readonly text: string;
}

/** Manifests are written by people: what is larger is something else. */
const MAX_FILE_BYTES = 4 << 20;
const MAX_FILES = 1000;
const ENDINGS = /\.(ya?ml|json)$/i;

/**
 * Reads what is named: files, folders (their .yaml, .yml and .json files, by name; with `recursive` those below, too),
 * and `-` for standard input. What cannot be read as text is a fault; what is not there is thrown as INVALID_ARGUMENT.
 */
export async function readSources(
  paths: readonly string[],
  recursive: boolean,
  faults: Fault[],
  stdin: AsyncIterable<Buffer> = process.stdin,
): Promise<Source[]> {
  const sources: Source[] = [];
  for (const path of paths) {
    const files = path === '-' ? ['-'] : await filesOf(path, recursive);
    for (const file of files) {
      const bytes = file === '-' ? await readBounded(stdin) : await readFileBounded(file);
      const text = textOf(file === '-' ? 'standard input' : file, bytes, faults);
      if (text) sources.push(text);
    }
  }
  return sources;
}

async function filesOf(path: string, recursive: boolean): Promise<string[]> {
  try {
    if (!(await stat(path)).isDirectory()) return [path];
    const entries = await readdir(path, { recursive, withFileTypes: true });
    const files = entries.filter((entry) => !entry.isDirectory() && ENDINGS.test(entry.name));
    if (files.length > MAX_FILES) throw tooMany(path, files.length);
    if (files.length > 0) return files.map((entry) => join(entry.parentPath, entry.name)).sort();
  } catch (cause) {
    throw cause instanceof HiveError ? cause : unreadable(path, cause);
  }
  throw new HiveError('INVALID_ARGUMENT', `folder ${quote(path)} holds no .yaml, .yml or .json file`);
}

async function readFileBounded(path: string): Promise<Buffer | undefined> {
  let handle: FileHandle | undefined;
  try {
    handle = await open(path);
    return await readBounded(handle.createReadStream({ highWaterMark: 1 << 20 }));
  } catch (cause) {
    throw unreadable(path, cause);
  } finally {
    await handle?.close();
  }
}

/** Undefined when there is more than a manifest may have: the rest is not read. */
async function readBounded(stream: AsyncIterable<Buffer>): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > MAX_FILE_BYTES) return undefined;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function textOf(file: string, bytes: Buffer | undefined, faults: Fault[]): Source | undefined {
  if (!bytes) {
    faults.push(fault(file, 1, 1, `is larger than ${MAX_FILE_BYTES >> 20} MiB, the most that a manifest may have`));
    return undefined;
  }
  if (isUtf8(bytes)) return { file, text: bytes.toString('utf8').replace(/^\uFEFF/, '') };
  const wide = bytes.length > 1 && (bytes.readUInt16BE(0) === 0xfeff || bytes.readUInt16BE(0) === 0xfffe);
  const { line, column } = firstBadByte(bytes);
  const what = wide ? 'is UTF-16' : 'is not UTF-8';
  faults.push(fault(file, line, column, `${what}; save it as UTF-8`));
  return undefined;
}

function firstBadByte(bytes: Buffer): { line: number; column: number } {
  let line = 1;
  for (let from = 0; from < bytes.length; line++) {
    const end = bytes.indexOf(10, from);
    const part = bytes.subarray(from, end < 0 ? bytes.length : end);
    if (!isUtf8(part)) {
      const good = new TextDecoder().decode(part).indexOf('\uFFFD');
      return { line, column: Math.max(0, good) + 1 };
    }
    if (end < 0) break;
    from = end + 1;
  }
  return { line: 1, column: 1 };
}

const tooMany = (path: string, count: number): HiveError =>
  new HiveError('INVALID_ARGUMENT', `folder ${quote(path)} holds ${count} manifests, at most ${MAX_FILES} are taken`);
