import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { methodDescriptor } from '../../../libs/rpc/descriptors.ts';
import { Playground } from '../hivebus.ts';
import {
  example,
  optional,
  output,
  pythonStubs,
  pythonWithGrpc,
  ROOT,
  run,
  tokenFor,
  withProgram,
} from './programs.ts';
import { REQUESTS } from './requests.ts';

/** gRPC clients that we did not write, against everything in one process. */

const buf = join(ROOT, 'node_modules', '.bin', 'buf');
const openssl = optional('openssl', 'install openssl');
const grpcurl = optional('grpcurl');
const python = pythonWithGrpc();

let playground: Playground;
let address: string;

beforeAll(async () => {
  playground = new Playground();
  await playground.up();
  const runFile = readFileSync(join(playground.folder, '.hivebus', 'run.json'), 'utf8');
  address = (JSON.parse(runFile) as { grpc: string }).grpc;
});
afterAll(() => playground[Symbol.asyncDispose]());

const inFolder = (name: string) => join(playground.folder, name);

async function bufCurl(path: string, request: object, token: string) {
  const plain = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge'];
  const authorization = ['-H', `authorization: Bearer ${token}`];
  return run(buf, [...plain, ...authorization, '-d', JSON.stringify(request), `http://${address}/${path}`]);
}

/** `service/Method` of everything that server reflection tells. */
async function reflected(): Promise<string[]> {
  const plain = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge'];
  return (await output(buf, [...plain, '--list-methods', `http://${address}`])).trim().split('\n');
}

test.skipIf(!openssl)(
  'buf curl calls every unary method of every service by reflection',
  { timeout: 600_000 },
  async () => {
    const token = await tokenFor(inFolder('.hivebus/keys/operator-local.key'), 'operator:local');
    const unary = (await reflected()).filter((path) => methodDescriptor(`/${path}`).methodKind === 'unary');
    expect(unary.length).toBeGreaterThan(30);
    const known = REQUESTS.map(([path]) => path);
    const others = unary.filter((path) => !known.includes(path));
    const calls = [...REQUESTS, ...others.map((path) => [path, {}, 'any'] as const)];
    for (const [path, request, expected] of calls) {
      const { code, stdout, stderr } = await bufCurl(path, request, token);
      const outcome = code === 0 ? 'ok' : (JSON.parse(stderr) as { code: string }).code;
      if (outcome === 'ok') expect(JSON.parse(stdout), path).toBeTypeOf('object');
      if (expected === 'any')
        expect(['unknown', 'internal', 'unimplemented'], `${path} ${stderr}`).not.toContain(outcome);
      else expect(outcome, `${path} ${stderr}`).toBe(expected);
    }
  },
);

test.skipIf(!openssl)('the example of buf curl', async () => {
  const said = await output(example('buf-curl.sh'), [address, inFolder('buf-curl.key')]);
  expect(said).toContain('hivebus.registry.v1.RegistryService/RegisterSwarm');
  expect(said).toContain('"created": true');
});

test.skipIf(!grpcurl || !openssl)('the example of grpcurl', async () => {
  const env = withProgram(grpcurl ?? '');
  const said = await output(example('grpcurl.sh'), [address, inFolder('grpcurl.key')], { env });
  expect(said).toContain('hivebus.pool.v1.ResourcePoolService');
  expect(said).toContain('rpc SubmitTask ( .hivebus.pool.v1.SubmitTaskRequest )');
  expect(said).toContain('"submittedBy": "swarm:grpcurl"');
  const wrong = ['-plaintext', '-d', '{"id": "nowhere"}', address, 'hivebus.pool.v1.ResourcePoolService/GetTask'];
  const { code, stderr } = await run(grpcurl ?? '', wrong);
  expect(code).not.toBe(0);
  expect(stderr).toContain('Code: NotFound');
});

test.skipIf(!python)('a swarm in Python registers, borrows an agent, and watches its task', async () => {
  const env = await pythonStubs(python ?? '', playground.folder);
  await playground.run(['federation', 'join', '--swarm', 'code']);
  await playground.agent(['--type', 'shout', '--name', 'loud', '--exec', `echo '{"text": "HELLO"}'`]);
  const said = await output(python ?? '', [example('swarm.py'), address, inFolder('python.key'), 'shout'], { env });
  expect(said).toMatch(/^swarm python is new\nborrowed code\/loud\nsubmitted task-\w+\n/);
  expect(said).toMatch(/TASK_STATE_SUCCEEDED \{"text": "HELLO"\}\n$/);
  const refused = await run(python ?? '', [example('swarm.py'), address, inFolder('python.key'), 'nobody'], { env });
  expect(refused.code).toBe(1);
  expect(refused.stderr).toMatch(/^RESOURCE_EXHAUSTED: no agent of type "nobody"/);
});
