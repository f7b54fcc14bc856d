import { execFile } from 'node:child_process';
import { open, readdir, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { promisify } from 'node:util';

/** What there is to do: one task for each file. */
export interface SourceFiles {
  /** Absolute. */
  readonly repo: string;
  /** Relative to it. */
  readonly files: readonly string[];
  /** How many were left out, and why. */
  readonly skipped: { readonly binary: number; readonly large: number; readonly overLimit: number };
}

const MAX_BYTES = 512 * 1024;
/** Where there is no git, folders that hold nothing of one's own. */
const NOT_SOURCE = new Set(['node_modules', 'dist', 'build', 'target', 'vendor', 'coverage', '__pycache__', 'venv']);

/** The text files of a git repository, or of a folder that is none. Throws when there are none. */
export async function findSourceFiles(folder: string, maxFiles: number): Promise<SourceFiles> {
  const repo = resolve(folder);
  const info = await stat(repo).catch(() => undefined);
  if (!info?.isDirectory()) throw new Error(`--repo ${folder} is not a folder`);
  const all = (await gitFiles(repo)) ?? (await walk(repo));
  const skipped = { binary: 0, large: 0, overLimit: 0 };
  const files: string[] = [];
  for (const file of all.sort()) {
    const kind = await kindOf(join(repo, file));
    if (kind === 'gone') continue;
    if (kind !== 'text') skipped[kind]++;
    else if (files.length >= maxFiles) skipped.overLimit++;
    else files.push(file);
  }
  if (files.length === 0) throw new Error(`there are no source files in ${repo}`);
  return { repo, files, skipped };
}

/** Undefined when the folder is no working tree of git, or there is no git. */
async function gitFiles(repo: string): Promise<string[] | undefined> {
  try {
    const { stdout } = await promisify(execFile)('git', ['-C', repo, 'ls-files', '-z'], { maxBuffer: 1 << 28 });
    const files = stdout.split('\0').filter((file) => file !== '');
    return files.length > 0 ? files : undefined;
  } catch {
    return undefined;
  }
}

async function walk(repo: string): Promise<string[]> {
  const entries = await readdir(repo, { withFileTypes: true });
  const found = entries.map(async (entry): Promise<string[]> => {
    const path = join(repo, entry.name);
    if (entry.isFile()) return [path];
    const isSource = entry.isDirectory() && !entry.name.startsWith('.') && !NOT_SOURCE.has(entry.name);
    return isSource ? (await walk(path)).map((file) => join(path, file)) : [];
  });
  return (await Promise.all(found)).flat().map((path) => relative(repo, path));
}

/** A NUL in the first bytes is what git calls binary. */
async function kindOf(path: string): Promise<'text' | 'binary' | 'large' | 'gone'> {
  const info = await stat(path).catch(() => undefined);
  if (!info?.isFile()) return 'gone';
  if (info.size > MAX_BYTES) return 'large';
  await using handle = await open(path);
  const { buffer, bytesRead } = await handle.read(Buffer.alloc(8000), 0, 8000, 0);
  return buffer.subarray(0, bytesRead).includes(0) ? 'binary' : 'text';
}
