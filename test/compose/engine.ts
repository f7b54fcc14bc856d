import { execFile } from 'node:child_process';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const ROOT = fileURLToPath(new URL('../../..', import.meta.url));

/**
 * Where a machine that has no engine, or reaches no registry of images, may have scripts that help: `docker-engine.sh`
 * prints the exports that lead to an engine, `compose-stand-ins.sh` makes local images of the same names.
 */
const TOOLS = process.env.COMPOSE_TOOLS || join(ROOT, '..', 'shared', 'tools');

const ENGINE_MS = 180_000;
const IMAGES_MS = 360_000;
const PULL_MS = 180_000;

const exec = promisify(execFile);

/** Runs a program and gives its output; its failure names it and ends with what it said last. */
export async function run(
  program: string,
  args: readonly string[],
  options: { env?: NodeJS.ProcessEnv; timeoutMs?: number; signal?: AbortSignal } = {},
): Promise<string> {
  const { env = process.env, timeoutMs = 60_000, signal } = options;
  try {
    const { stdout } = await exec(program, args, { cwd: ROOT, env, timeout: timeoutMs, signal, maxBuffer: 1 << 28 });
    return stdout.trim();
  } catch (cause) {
    const { stderr = '', message } = cause as Error & { stderr?: string };
    const said = stderr.trimEnd().split('\n').slice(-8).join('\n');
    throw new Error(`${[program, ...args].join(' ')}: ${said || message}`, { cause });
  }
}

const works = (program: string, args: readonly string[], env?: NodeJS.ProcessEnv): Promise<boolean> =>
  run(program, args, env ? { env } : {}).then(
    () => true,
    () => false,
  );

/** A Docker engine with compose. Disposing it ends it if it was started for us. */
export interface Engine extends AsyncDisposable {
  /** What its clients need to find it. */
  readonly env: NodeJS.ProcessEnv;
}

/** An engine that is there, or can be had; else why there is none. */
export async function findEngine(): Promise<Engine | string> {
  const isThere = (await works('docker', ['info'])) && (await works('docker', ['compose', 'version']));
  if (isThere) return { env: process.env, async [Symbol.asyncDispose]() {} };
  const script = join(TOOLS, 'docker-engine.sh');
  if (!existsSync(script)) return 'there is no Docker engine with compose here';
  if (process.getuid?.() !== 0) return 'there is no Docker engine here, and only root may start one';
  const startedAt = Date.now();
  try {
    const exports = await run('bash', [script], { timeoutMs: ENGINE_MS });
    const env = { ...process.env, ...variables(exports) };
    return { env, [Symbol.asyncDispose]: async () => endIfStarted(env, startedAt) };
  } catch (error) {
    return `no Docker engine could be started: ${(error as Error).message}`;
  }
}

/** `export NAME=value` lines. */
const variables = (text: string): Record<string, string> =>
  Object.fromEntries([...text.matchAll(/^export (\w+)=(.*)$/gm)].map(([, name, value]) => [name, value]));

/** The engine's process writes its pid beside its socket. */
function endIfStarted(env: NodeJS.ProcessEnv, startedAt: number): void {
  const pidFile = join(dirname(env.DOCKER_HOST?.replace('unix://', '') ?? ''), 'pid');
  if (!existsSync(pidFile) || statSync(pidFile).mtimeMs < startedAt) return;
  process.kill(Number(readFileSync(pidFile, 'utf8')), 'SIGTERM');
}

/** Makes sure that the images of others are there, pulled or as stand-ins; else says why not. */
export async function findImages(engine: Engine, images: readonly string[]): Promise<string | undefined> {
  const { env } = engine;
  for (const image of images) {
    if (await works('docker', ['image', 'inspect', image], env)) continue;
    try {
      await run('docker', ['pull', '-q', image], { env, timeoutMs: PULL_MS });
    } catch (error) {
      return standIns(env, error as Error);
    }
  }
  return undefined;
}

async function standIns(env: NodeJS.ProcessEnv, why: Error): Promise<string | undefined> {
  const script = join(TOOLS, 'compose-stand-ins.sh');
  if (!existsSync(script)) return `images cannot be pulled: ${why.message}`;
  console.log('        images cannot be pulled: building stand-ins');
  try {
    await run('bash', [script], { env, timeoutMs: IMAGES_MS });
    return undefined;
  } catch (error) {
    return `images cannot be pulled, and stand-ins cannot be built: ${(error as Error).message}`;
  }
}
