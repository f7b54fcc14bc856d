import { JetStreamApiError } from '@nats-io/jetstream';
import { errors } from '@nats-io/nats-core';
import { permissionViolation } from '../../libs/bus/permission.ts';
import type { HiveError } from '../../libs/kernel/errors.ts';
import { broken, type Finding, unknown } from './finding.ts';

/** How long JetStream may take for an answer, in milliseconds. */
export const JETSTREAM_MS = 5000;

export const QUORUM_MEND =
  'more than half of the servers of its cluster must run and reach each other: start those that are down';

/** What a refused connection wants, by the error's reason. */
const CONNECT_MENDS: Readonly<Record<string, string>> = {
  BUS_REFUSED:
    'name a login that the server knows, by HIVEBUS_NATS_NKEY_FILE or its kin, or let the server know this one',
  BUS_TLS: 'let HIVEBUS_NATS_CA_FILE name the authority of its certificate, which must name the host and not be over',
  BUS_ACCESS: 'name a file that is there, readable and whole: HIVEBUS_NATS_…_FILE',
  BUS_TOO_OLD: 'use a later nats-server',
  NOT_NATS: 'name the address of a NATS server: --nats or HIVEBUS_NATS',
};

/** Why there is no connection; undefined for what is no matter of the bus. */
export function connectTrouble({ code, reason = '', message }: HiveError): Finding | undefined {
  const mend = CONNECT_MENDS[reason] ?? (code === 'UNAVAILABLE' ? 'start it: hivebus up' : undefined);
  return mend === undefined ? undefined : broken('nats', message, mend);
}

/** Why JetStream did not tell something. */
export function jetStreamTrouble(check: string, error: unknown): Finding {
  if (permissionViolation(error)) {
    return unknown(
      check,
      'our login may not ask JetStream',
      'use the login of the services: HIVEBUS_NATS_NKEY_FILE and its kin',
    );
  }
  if (error instanceof errors.TimeoutError) return broken(check, 'JetStream does not answer', QUORUM_MEND);
  if (!(error instanceof JetStreamApiError))
    return broken(check, messageOf(error), 'start the NATS server with JetStream: nats-server -js');
  return broken(check, messageOf(error), error.status >= 500 ? QUORUM_MEND : '');
}

const messageOf = (error: unknown): string => (error instanceof Error ? error.message : String(error));
