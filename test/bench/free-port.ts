import { createServer } from 'node:net';
import { listen } from '../../libs/service/listen.ts';

/** A port of 127.0.0.1 that nobody uses now, for programs that cannot take any free one by themselves. */
export async function freePort(): Promise<number> {
  const probe = createServer();
  const port = await listen(probe, '127.0.0.1', 0, 'bench');
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
