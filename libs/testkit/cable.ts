import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';

/** A way to a server that can be pulled: for a client that is cut off and goes on by itself. */
export interface Cable extends AsyncDisposable {
  /** Where the client connects to, as `nats://127.0.0.1:<port>`. */
  readonly url: string;
  /** Breaks what is connected, and refuses whoever comes. */
  pull(): void;
}

/** A cable to the server at `url`. */
export async function startCable(url: string): Promise<Cable> {
  const { hostname, port } = new URL(url);
  const sockets = new Set<Socket>();
  const keep = (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('close', () => sockets.delete(socket));
  };
  let isPulled = false;
  const server = createServer((client) => {
    keep(client);
    if (isPulled) return client.destroy();
    const far = connect(Number(port), hostname);
    keep(far);
    client.pipe(far).pipe(client);
    client.on('close', () => far.destroy());
    far.on('close', () => client.destroy());
    return client;
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const pull = () => {
    isPulled = true;
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `nats://127.0.0.1:${(server.address() as AddressInfo).port}`,
    pull,
    async [Symbol.asyncDispose]() {
      pull();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
