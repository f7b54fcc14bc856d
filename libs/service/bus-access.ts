import type { BusAccess } from '../bus/access.ts';
import { invalid, quote, type Violation } from '../kernel/errors.ts';
import { readValues, text } from './settings.ts';

/** The environment variables of a `BusAccess`. They name files: too many see an environment for it to hold a secret. */
const settings = {
  user: text('HIVEBUS_NATS_USER', undefined),
  passwordFile: text('HIVEBUS_NATS_PASSWORD_FILE', undefined),
  tokenFile: text('HIVEBUS_NATS_TOKEN_FILE', undefined),
  credsFile: text('HIVEBUS_NATS_CREDS_FILE', undefined),
  nkeyFile: text('HIVEBUS_NATS_NKEY_FILE', undefined),
  caFile: text('HIVEBUS_NATS_CA_FILE', undefined),
  certFile: text('HIVEBUS_NATS_CERT_FILE', undefined),
  keyFile: text('HIVEBUS_NATS_KEY_FILE', undefined),
};

export const BUS_ACCESS_NAMES: readonly string[] = Object.values(settings).map(({ name }) => name);

/** Reads the settings of the bus alone, for services and for clients. Throws INVALID_ARGUMENT for what does not go together. */
export function readBusAccess(env: NodeJS.ProcessEnv): BusAccess {
  const access = readValues(env, settings);
  const faults = [...pairFaults(access, 'user', 'passwordFile'), ...pairFaults(access, 'certFile', 'keyFile')];
  const ways = (['user', 'tokenFile', 'credsFile', 'nkeyFile'] as const).filter((way) => access[way] !== undefined);
  const [first, ...others] = ways;
  if (first && others.length > 0) {
    const names = others.map((way) => settings[way].name).join(' and ');
    faults.push(fault(access, first, `must be the only way to log in, and ${names} is set, too`));
  }
  if (faults.length > 0) throw invalid(faults);
  return access;
}

function pairFaults(access: BusAccess, one: keyof BusAccess, other: keyof BusAccess): Violation[] {
  if ((access[one] === undefined) === (access[other] === undefined)) return [];
  const [given, missing] = access[one] === undefined ? [other, one] : [one, other];
  return [fault(access, given, `needs ${settings[missing].name}`)];
}

const fault = (access: BusAccess, key: keyof BusAccess, rule: string): Violation => ({
  field: settings[key].name,
  value: quote(access[key]),
  rule,
});
