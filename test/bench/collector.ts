import { createServer } from 'node:http';
import { listen } from '../../libs/service/listen.ts';
import { answer } from './children.ts';

/** Takes spans by OTLP over HTTP and forgets them; counts the bytes. */
let bytes = 0;
const server = createServer((request, response) => {
  request.on('data', (chunk: Buffer) => {
    bytes += chunk.length;
  });
  request.on('end', () => response.writeHead(200, { 'content-type': 'application/json' }).end('{}'));
});
const port = await listen(server, '127.0.0.1', 0, 'bench');

answer(
  async () => ({ port, bytes }),
  async () => {
    server.closeAllConnections();
    server.close();
  },
);
