import { createConnection } from 'node:net';
import { HiveError, invalid, quote } from '../kernel/errors.ts';

/** What a port says to whoever connects: a NATS server says its INFO at once. */
export type Greeting =
  | {
      readonly by: 'nats';
      readonly version: string;
      /** The server's own; empty when it tells none. */
      readonly name: string;
      /** Of which cluster it is; empty = of none. */
      readonly cluster: string;
    }
  /** Something else; `speaks` when it can be told. */
  | { readonly by: 'stranger'; readonly speaks: string }
  /** Nothing within the time: most servers wait for the client's first word. */
  | { readonly by: 'silence' }
  | { readonly by: 'nobody' };

const NATS_PORT = 4222;
/** A server that is busy greets late; who waits for this does not know whether it is one. */
const SILENCE_MS = 3000;
const MAX_BYTES = 65_536;

export function greeting(host: string, port: number, timeoutMs = SILENCE_MS): Promise<Greeting> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const give = (answer: Greeting) => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(() => give({ by: 'silence' }), timeoutMs);
    let connected = false;
    let said = Buffer.alloc(0);
    socket.on('connect', () => {
      connected = true;
    });
    socket.on('data', (chunk) => {
      said = Buffer.concat([said, chunk]);
      if (!mayBeInfo(said)) give({ by: 'stranger', speaks: languageOf(said) });
      else if (said.includes('\n') || said.length > MAX_BYTES) give(infoIn(said.toString()));
    });
    socket.on('error', () => give(connected ? { by: 'silence' } : { by: 'nobody' }));
    socket.on('close', () => give({ by: 'silence' }));
  });
}

const INFO = Buffer.from('INFO ');

const mayBeInfo = (said: Buffer): boolean => {
  const length = Math.min(said.length, INFO.length);
  return said.subarray(0, length).equals(INFO.subarray(0, length));
};

function infoIn(text: string): Greeting {
  const told = (field: string) => new RegExp(`^INFO .*"${field}":"([^"]+)"`).exec(text)?.[1];
  const version = told('version');
  if (version === undefined) return { by: 'stranger', speaks: '' };
  return { by: 'nats', version, name: told('server_name') ?? '', cluster: told('cluster') ?? '' };
}

/** By the first bytes: HTTP/2 begins with a frame of settings (type 4 on stream 0). */
function languageOf(said: Buffer): string {
  if (said.length >= 9 && said[3] === 4 && said.readUInt32BE(5) === 0) return 'HTTP/2, as gRPC does';
  const word = /^(SSH|HTTP|220|\+OK|-ERR)/.exec(said.subarray(0, 8).toString('latin1'))?.[1];
  if (word === 'SSH' || word === 'HTTP') return word;
  return '';
}

/**
 * Looks at each address before the client tries for long what cannot be.
 * @throws HiveError INVALID_ARGUMENT for what is no address; UNAVAILABLE when none is a NATS server and one is something
 * else (NOT_NATS, not retryable), or says nothing (BUS_UNREACHABLE).
 */
export async function requireGreeting(servers: readonly string[]): Promise<void> {
  const answers = await Promise.all(servers.map(addressOf).map(({ host, port }) => greeting(host, port)));
  if (answers.some(({ by }) => by === 'nats')) return;
  const where = servers.join(', ');
  const stranger = answers.find((answer) => answer.by === 'stranger');
  if (stranger) {
    const speaks = stranger.speaks && ` (it speaks ${stranger.speaks})`;
    const message = `what listens at ${where} does not speak NATS${speaks}: name the address of a NATS server`;
    throw new HiveError('UNAVAILABLE', message, { retryable: false, reason: 'NOT_NATS' });
  }
  if (!answers.some(({ by }) => by === 'silence')) return;
  const message = `what listens at ${where} does not greet as NATS does: it is something else, or too busy`;
  throw new HiveError('UNAVAILABLE', message, { reason: 'BUS_SILENT' });
}

/** @throws HiveError INVALID_ARGUMENT for what is no address. */
export function addressOf(server: string): { host: string; port: number } {
  const text = server.includes('://') ? server : `nats://${server}`;
  const { protocol, hostname, port } = URL.canParse(text) ? new URL(text) : NO_ADDRESS;
  if (hostname !== '' && (protocol === 'nats:' || protocol === 'tls:')) {
    return { host: hostname.replace(/^\[(.*)\]$/, '$1'), port: Number(port || NATS_PORT) };
  }
  const rule = 'must be HOST:PORT, nats://HOST:PORT or tls://HOST:PORT, several with commas; an IPv6 address in [ ]';
  throw invalid([{ field: 'servers', value: quote(server), rule }]);
}

const NO_ADDRESS = { protocol: '', hostname: '', port: '' };
