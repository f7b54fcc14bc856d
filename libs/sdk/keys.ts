import { link, mkdir, readFile, stat, unlink, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import { type KeyPair, keyPairFromPem, newKeyPair, privateKeyPem } from '../protocol/token.ts';

/** Where keys lie: `HIVEBUS_HOME`, else `~/.config/hivebus`. */
export const defaultHome = (env: NodeJS.ProcessEnv = process.env): string =>
  env.HIVEBUS_HOME || join(homedir(), '.config', 'hivebus');

/** `<home>/keys/operator-<name>.key` */
export const operatorKeyFile = (home: string, name: string): string => join(home, 'keys', `operator-${name}.key`);

/** `<home>/keys/swarm-<federation>-<swarm>.key` */
export const swarmKeyFile = (home: string, federation: string, swarm: string): string =>
  join(home, 'keys', `swarm-${federation}-${swarm}.key`);

/** The key of a file (PKCS 8 PEM, Ed25519); undefined when there is no such file. Refuses one that others may read. */
export async function readKey(file: string): Promise<KeyPair | undefined> {
  try {
    const { mode } = await stat(file);
    if ((mode & 0o077) !== 0) throw tooOpen(file, mode);
    return keyPairFromPem(await readFile(file, 'utf8'));
  } catch (cause) {
    const { code, message } = cause as Error & { code?: string };
    if (code === 'ENOENT') return undefined;
    if (code === 'PERMISSION_DENIED') throw cause;
    throw new HiveError('FAILED_PRECONDITION', `cannot use the key ${file}: ${message}`, { cause });
  }
}

/** The key of a file, made now when there is none. Safe against others doing the same. */
export async function readOrCreateKey(file: string): Promise<KeyPair> {
  return (await readKey(file)) ?? keepKey(file, newKeyPair());
}

/** Puts a key into a file, readable by its owner only, unless there is one: what it holds then. */
export async function keepKey(file: string, pair: KeyPair): Promise<KeyPair> {
  const draft = `${file}.${randomId(8)}`;
  try {
    await mkdir(dirname(file), { recursive: true, mode: 0o700 });
    await writeFile(draft, privateKeyPem(pair), { flag: 'wx', mode: 0o600, flush: true });
    // A link fails when somebody was faster, and never shows half a file.
    await link(draft, file).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } catch (cause) {
    const why = (cause as Error).message;
    throw new HiveError('FAILED_PRECONDITION', `cannot write the key ${file}: ${why}`, { cause });
  } finally {
    await unlink(draft).catch(() => {});
  }
  const key = await readKey(file);
  if (key) return key;
  throw new HiveError('FAILED_PRECONDITION', `the key ${file} was removed while it was being made`);
}

function tooOpen(file: string, mode: number): HiveError {
  const octal = (mode & 0o777).toString(8).padStart(4, '0');
  return new HiveError('PERMISSION_DENIED', `others may read the key ${file} (mode ${octal}): run chmod 600 ${file}`);
}
