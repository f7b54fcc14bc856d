import { existsSync } from 'node:fs';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { listen } from './listen.ts';
import { portHolder } from './port-holder.ts';

test.skipIf(!existsSync('/proc/net/tcp'))('who listens on a port is told by its pid and command', async () => {
  const server = createServer();
  const port = await listen(server, '127.0.0.1', 0, '');
  expect(portHolder(port)).toMatch(new RegExp(`^pid ${process.pid} \\(.+\\)$`));
  await new Promise((resolve) => server.close(resolve));
  expect(portHolder(port)).toBeUndefined();
});
