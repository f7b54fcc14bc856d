import { execFile } from 'node:child_process';
import { createRequire } from 'node:module';
import { createServer } from 'node:net';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { credentials, Client as RawClient } from '@grpc/grpc-js';
import { loadSync, type ServiceDefinition } from '@grpc/proto-loader';
import { service as healthService } from 'grpc-health-check';
import { expect, test } from 'vitest';
import { refused } from '../../libs/testkit/refused.ts';
import { GetSwarmResponse } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { serveOnGrpc } from './rpc-harness.ts';

/** What a gRPC server is for other programs: a port, health, and contracts that can be asked for. */

test('a port in use is told as such', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as { port: number };
  const error = await refused(serveOnGrpc({}, { port }));
  expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'PORT_IN_USE' });
  expect(error.message).toContain(`127.0.0.1:${port}`);
  await new Promise((resolve) => holder.close(resolve));
});

test('health says what is served', async () => {
  await using server = await serveOnGrpc({});
  const { Check: check } = healthService;
  if (!check) throw new Error('no health check');
  const client = new RawClient(server.address, credentials.createInsecure());
  const statusOf = (service: string) =>
    new Promise((resolve) => {
      const { path, requestSerialize, responseDeserialize } = check;
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, { service }, (error, answer) =>
        resolve(error?.code ?? (answer as { status: string }).status),
      );
    });
  expect(await statusOf('')).toBe('SERVING');
  expect(await statusOf('hivebus.registry.v1.RegistryService')).toBe('SERVING');
  expect(await statusOf('other')).toBe(5);
  server.setServing(false);
  expect(await statusOf('hivebus.registry.v1.RegistryService')).toBe('NOT_SERVING');
  client.close();
});

test('buf curl finds a method by reflection and calls it', async () => {
  await using server = await serveOnGrpc({
    getSwarm: async ({ name }) => GetSwarmResponse.fromJSON({ swarm: { name } }),
  });
  const url = `http://127.0.0.1:${server.port}/hivebus.registry.v1.RegistryService/GetSwarm`;
  const options = ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', '--data', '{"name": "code"}'];
  const { stdout } = await promisify(execFile)('node_modules/.bin/buf', [...options, url]);
  expect(JSON.parse(stdout)).toEqual({ swarm: { name: 'code' } });
});

test('reflection lists the services and describes them', async () => {
  await using server = await serveOnGrpc({});
  const root = dirname(createRequire(import.meta.url).resolve('@grpc/reflection/package.json'));
  const proto = loadSync('reflection/v1/reflection.proto', { includeDirs: [join(root, 'build/proto/grpc')] });
  const { ServerReflectionInfo: info } = proto['grpc.reflection.v1.ServerReflection'] as ServiceDefinition;
  if (!info) throw new Error('no reflection service');
  const { path, requestSerialize, responseDeserialize } = info;
  const client = new RawClient(server.address, credentials.createInsecure());
  const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize);
  call.write({ listServices: '*' });
  call.write({ fileContainingSymbol: 'hivebus.registry.v1.RegistryService' });
  call.end();
  const answers: object[] = [];
  for await (const answer of call) answers.push(answer);
  client.close();
  expect(answers[0]).toMatchObject({
    listServicesResponse: { service: [{ name: 'hivebus.registry.v1.RegistryService' }] },
  });
  expect(answers[1]).toMatchObject({ fileDescriptorResponse: { fileDescriptorProto: expect.any(Array) } });
});
