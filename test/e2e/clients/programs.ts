import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findServer } from '../../../libs/service/nats-binary.ts';
import type { Ran } from '../hivebus.ts';

/** Programs that we did not write, and the examples that use them. */

export const ROOT = fileURLToPath(new URL('../../..', import.meta.url));
const EXAMPLES = join(ROOT, 'examples', 'clients');

/** Where a program is; undefined, and said aloud, when this machine has none: the tests that need it are skipped. */
export function optional(program: string, hint = `node tools/optional.mjs ${program}`): string | undefined {
  try {
    return findServer(program);
  } catch {
    console.warn(`skipped: what needs ${program}, which is not here; to get it: ${hint}`);
    return undefined;
  }
}

/** A Python with what a gRPC client needs: the machine's own (Debian's python3-grpcio and so on), or the one fetched. */
export function pythonWithGrpc(): string | undefined {
  const imports = 'import grpc, grpc_tools.protoc, cryptography.hazmat.primitives.asymmetric.ed25519';
  return spawnSync('python3', ['-c', imports]).status === 0 ? 'python3' : optional('python-grpc');
}

/** Makes the stubs of all contracts for Python, in a folder of a test's own; gives the environment that finds them. */
export async function pythonStubs(python: string, folder: string): Promise<NodeJS.ProcessEnv> {
  const stubs = join(folder, 'stubs');
  mkdirSync(stubs);
  const protos = readdirSync(join(ROOT, 'proto'), { recursive: true, encoding: 'utf8' });
  const files = protos.filter((file) => file.endsWith('.proto'));
  const protoc = ['-m', 'grpc_tools.protoc', '-I', 'proto', `--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
  await output(python, [...protoc, ...files]);
  return { PYTHONPATH: stubs };
}

export interface RunOptions {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
}

/** Runs a program to its end. */
export function run(program: string, args: readonly string[], { cwd = ROOT, env }: RunOptions = {}): Promise<Ran> {
  return new Promise((resolve) => {
    const options = { cwd, env: { ...process.env, ...env }, timeout: 120_000 };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ code: error ? (child.exitCode ?? 1) : 0, signal: child.signalCode, stdout, stderr });
    });
    child.stdin?.end();
  });
}

/** Runs a program that must succeed; what it printed. */
export async function output(program: string, args: readonly string[], options?: RunOptions): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')}: exit code ${code}: ${stderr}${stdout}`);
  return stdout;
}

export const example = (name: string): string => join(EXAMPLES, name);

/** An environment in which a program is on the PATH, wherever it was found. */
export const withProgram = (path: string): NodeJS.ProcessEnv => ({
  PATH: `${dirname(path)}${delimiter}${process.env['PATH'] ?? ''}`,
});

/** A token, made as the examples make one. */
export const tokenFor = async (keyFile: string, subject: string): Promise<string> =>
  (await output(example('token.sh'), [keyFile, subject])).trim();
