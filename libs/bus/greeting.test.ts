import { createServer as createHttp2 } from 'node:http2';
import { createServer, type Server, type Socket } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { greeting, requireGreeting } from './greeting.ts';

const listening = (server: Server): Promise<number> =>
  new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
    onTestFinished(() => void server.close());
  });

/** A server that says `text` to whoever connects. */
const saying = (...text: string[]): Promise<number> =>
  listening(
    createServer((socket: Socket) => {
      socket.on('error', () => {});
      for (const part of text) socket.write(part);
    }),
  );

test('NATS is known by its INFO, even in parts', async () => {
  const port = await saying(
    'IN',
    'FO {"server_id":"x","server_name":"n1","version":"2.12',
    '.0","cluster":"hive"}\r\n',
  );
  expect(await greeting('127.0.0.1', port)).toEqual({ by: 'nats', version: '2.12.0', name: 'n1', cluster: 'hive' });
  const alone = await saying('INFO {"version":"2.9.10"}\r\n');
  expect(await greeting('127.0.0.1', alone)).toEqual({ by: 'nats', version: '2.9.10', name: '', cluster: '' });
  await requireGreeting([`nats://127.0.0.1:${port}`, '127.0.0.1:1']);
});

test('others are named where they can be', async () => {
  const grpc = await listening(createHttp2() as unknown as Server);
  expect(await greeting('127.0.0.1', grpc)).toEqual({ by: 'stranger', speaks: 'HTTP/2, as gRPC does' });
  const ssh = await saying('SSH-2.0-x\r\n');
  await expect(requireGreeting([`127.0.0.1:${ssh}`])).rejects.toMatchObject({
    ...{ code: 'UNAVAILABLE', retryable: false, reason: 'NOT_NATS' },
    message: expect.stringContaining(`127.0.0.1:${ssh} does not speak NATS (it speaks SSH)`),
  });
});

test.each(['::', 'foo://x', 'nats://', 'nats://x:y', ''])(
  '%j is no address, and what one is like is said',
  async (server) => {
    await expect(requireGreeting(['127.0.0.1:1', server])).rejects.toMatchObject({
      ...{ code: 'INVALID_ARGUMENT', retryable: false },
      message: expect.stringContaining('must be HOST:PORT, nats://HOST:PORT or tls://HOST:PORT'),
    });
  },
);

test('who says nothing may be busy, and nobody is left to the client', async () => {
  const port = await saying();
  expect(await greeting('127.0.0.1', port, 50)).toEqual({ by: 'silence' });
  expect(await greeting('127.0.0.1', 1)).toEqual({ by: 'nobody' });
  await requireGreeting(['nats://127.0.0.1:1']);
});
