import { errors, type NatsConnection } from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';
import { type BusAccess, describeLogin } from './access.ts';

/** Refusals in a row, of a connection that stood. About two seconds: a secret's file may be replaced after the server's. */
const MAX_REFUSALS = 10;

const lost = new WeakMap<NatsConnection, Promise<HiveError>>();

/**
 * Resolves when a connection that stood was closed because the server refuses our login now (UNAUTHENTICATED,
 * BUS_REFUSED). An outage never ends a connection, and one that we close ourselves resolves nothing.
 */
export const givenUp = (nc: NatsConnection): Promise<HiveError> => lost.get(nc) ?? new Promise(() => {});

/** Closes `nc` when the server refuses it again and again; `givenUp` then says why. */
export function closeWhenRefused(nc: NatsConnection, servers: readonly string[], access: BusAccess): void {
  const follow = async (resolve: (error: HiveError) => void) => {
    let refusals = 0;
    for await (const status of nc.status()) {
      if (status.type === 'reconnect') refusals = 0;
      if (status.type !== 'error' || !isRefusal(status.error) || ++refusals < MAX_REFUSALS) continue;
      await nc.close();
      return resolve(refusal(servers, access, status.error));
    }
  };
  lost.set(nc, new Promise((resolve) => void follow(resolve)));
}

/** A first connect that failed, in our words; UNAVAILABLE with BUS_UNREACHABLE when it may pass by itself. */
export function connectError(cause: unknown, servers: readonly string[], access: BusAccess): HiveError {
  if (isRefusal(cause)) return refusal(servers, access, cause);
  const why = cause instanceof Error ? cause.message : String(cause);
  const where = servers.join(', ');
  if (isTlsFault(cause)) {
    const hint = 'HIVEBUS_NATS_CA_FILE names the authority that vouches for it';
    return new HiveError('FAILED_PRECONDITION', `no TLS with NATS at ${where}: ${why}; ${hint}`, {
      ...{ cause, reason: 'BUS_TLS' },
    });
  }
  const remedy = isSilence(cause)
    ? 'is it NATS? One that wants a certificate of ours (HIVEBUS_NATS_CERT_FILE) answers nothing, either'
    : 'start it with `hivebus up`, or say where another is (`servers`, --nats or HIVEBUS_NATS)';
  const message = `cannot reach NATS at ${where}: ${why}; ${remedy}`;
  return new HiveError('UNAVAILABLE', message, { cause, reason: 'BUS_UNREACHABLE' });
}

function refusal(servers: readonly string[], access: BusAccess, cause: Error): HiveError {
  const message = `NATS at ${servers.join(', ')} refuses us (${cause.message}), with ${describeLogin(access)}`;
  return new HiveError('UNAUTHENTICATED', message, { cause, reason: 'BUS_REFUSED' });
}

/** A server that was too busy to hear our login in time says so by the same error: only its text differs. */
const isRefusal = (error: unknown): error is Error =>
  error instanceof errors.UserAuthenticationExpiredError ||
  (error instanceof errors.AuthorizationError && !/timeout/i.test(error.message));

const isSilence = (error: unknown): boolean => error instanceof errors.TimeoutError;

/** Codes of OpenSSL and of Node's checks of certificates; a server without TLS where we want it has no code. */
function isTlsFault(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code = '' } = (error.cause ?? error) as { code?: string };
  if (error instanceof errors.ConnectionError && error.message === "server does not support 'tls'") return true;
  return /^(ERR_(TLS|SSL|OSSL)|CERT_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|HOSTNAME_|INVALID_|PATH_LENGTH_)/.test(code);
}
