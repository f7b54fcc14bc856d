import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import {
  type Authenticator,
  credsAuthenticator,
  nkeyAuthenticator,
  type TlsOptions,
  tokenAuthenticator,
  usernamePasswordAuthenticator,
} from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';

/**
 * How a client proves itself to the NATS server, and how it knows the server. At most one way to log in. Secrets lie in
 * files and are read anew at each connect, so a secret that was changed there counts from the next reconnect on.
 */
export interface BusAccess {
  readonly user?: string;
  /** The password of `user`. */
  readonly passwordFile?: string;
  readonly tokenFile?: string;
  /** A user's JWT and nkey seed, as `nsc` writes them. */
  readonly credsFile?: string;
  /** A user's nkey seed, `SU…`. */
  readonly nkeyFile?: string;
  /** PEM of the authorities that may vouch for the server; left out: the system's. Set: no connection without TLS. */
  readonly caFile?: string;
  /** PEM of our certificate, for a server that wants one; with `keyFile`. */
  readonly certFile?: string;
  readonly keyFile?: string;
}

/** What the NATS client needs of an access. Throws FAILED_PRECONDITION for a file that cannot be used. */
export function accessOptions(
  access: BusAccess,
  servers: readonly string[],
): { authenticator?: Authenticator; tls?: TlsOptions } {
  const authenticator = authenticatorOf(access);
  const tls = tlsOf(access, servers);
  return { ...(authenticator && { authenticator }), ...(tls && { tls }) };
}

/** As it is told to people: never with a secret. */
export function describeLogin({ user, tokenFile, credsFile, nkeyFile }: BusAccess): string {
  if (user) return `the user ${user}`;
  if (tokenFile) return `the token of ${tokenFile}`;
  if (credsFile) return `the credentials of ${credsFile}`;
  return nkeyFile
    ? `the nkey of ${nkeyFile}`
    : 'no login; name one by HIVEBUS_NATS_USER and HIVEBUS_NATS_PASSWORD_FILE';
}

function authenticatorOf({ user, passwordFile, tokenFile, credsFile, nkeyFile }: BusAccess): Authenticator | undefined {
  if (user && passwordFile) return usernamePasswordAuthenticator(user, secret('password', passwordFile));
  if (tokenFile) return tokenAuthenticator(secret('token', tokenFile));
  const bytes = (text: () => string) => () => new TextEncoder().encode(text());
  if (credsFile) return proven(credsAuthenticator(bytes(secret('credentials', credsFile, '\n'))), credsFile);
  if (nkeyFile) return proven(nkeyAuthenticator(bytes(secret('nkey', nkeyFile))), nkeyFile);
  return undefined;
}

/** The text of a file, again at each call; when it cannot be read later, the last one holds. */
function secret(what: string, file: string, end = ''): () => string {
  let last = read(what, file);
  if (last === '') throw unusable(what, file, 'it is empty');
  return () => {
    try {
      last = read(what, file) || last;
    } catch {
      // the server says whether the last one still counts
    }
    return last + end;
  };
}

/** Signs once, so that a malformed seed or JWT is told here; inside the client it would look like a lost connection. */
function proven(authenticator: Authenticator, file: string): Authenticator {
  try {
    authenticator('nonce');
    return authenticator;
  } catch (cause) {
    throw unusable('credentials', file, (cause as Error).message, cause);
  }
}

function tlsOf({ caFile, certFile, keyFile }: BusAccess, servers: readonly string[]): TlsOptions | undefined {
  if (caFile) check('CA certificate', caFile, (pem) => new X509Certificate(pem));
  if (certFile) check('certificate', certFile, (pem) => new X509Certificate(pem));
  if (keyFile) check('certificate key', keyFile, (pem) => createPrivateKey(pem));
  // The client itself does not look at the scheme and would go on in the clear.
  if (!caFile && !certFile && !servers.some((server) => server.startsWith('tls://'))) return undefined;
  return { ...(caFile && { caFile }), ...(certFile && { certFile }), ...(keyFile && { keyFile }) };
}

function check(what: string, file: string, parse: (pem: string) => unknown): void {
  const text = read(what, file);
  try {
    parse(text);
  } catch (cause) {
    throw unusable(what, file, 'it must be PEM', cause);
  }
}

function read(what: string, file: string): string {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch (cause) {
    throw unusable(what, file, (cause as Error).message, cause);
  }
}

const unusable = (what: string, file: string, why: string, cause?: unknown): HiveError =>
  new HiveError('FAILED_PRECONDITION', `cannot use the NATS ${what} in ${file}: ${why}`, {
    ...(cause === undefined ? {} : { cause }),
    reason: 'BUS_ACCESS',
  });
