import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createAccount, createOperator, createUser, type KeyPair } from '@nats-io/nkeys';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { BusAccess } from '../../libs/bus/access.ts';
import { connectBus } from '../../libs/bus/connect.ts';
import { givenUp } from '../../libs/bus/refusal.ts';
import type { BusStatus } from '../../libs/bus/status.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { refused } from '../../libs/testkit/refused.ts';
import { until } from '../../libs/testkit/until.ts';
import { Authority, noOpenssl } from './certificates.ts';

const dir = mkdtempSync(join(tmpdir(), 'hivebus-access-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

let files = 0;
function file(text: string): string {
  const path = join(dir, `file-${++files}`);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

async function serve(config: string): Promise<NatsServer> {
  const server = await startNatsServer({ config });
  onTestFinished(() => server.stop());
  return server;
}

/** Connects and sends something: a connection that the server ends a moment later would fail here. */
async function accepted(server: NatsServer | { url: string }, access?: BusAccess): Promise<void> {
  const nc = await connectBus({ servers: server.url, name: 'test', access, jetStream: false });
  await nc.flush();
  await nc.close();
}

describe('login', () => {
  test('by user and password; a refusal is told at once and is not waited out', async () => {
    const server = await serve('authorization { user: ann, password: pass-1 }');
    const good = { user: 'ann', passwordFile: file('pass-1\n') };
    await accepted(server, good);
    const bad = { user: 'ann', passwordFile: file('pass-2') };
    const error = await refused(connectBus({ servers: server.url, name: 'test', access: bad, waitMs: 600_000 }));
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'BUS_REFUSED', retryable: false });
    expect(error.message).toContain(server.url);
    expect(error.message).toContain('the user ann');
    expect(error.message).not.toContain('pass-2');
    const nobody = await refused(accepted(server));
    expect(nobody).toMatchObject({ reason: 'BUS_REFUSED', message: expect.stringContaining('HIVEBUS_NATS_USER') });
  });

  test('by the environment, in the SDK and so in the command line', async () => {
    const server = await serve('authorization { user: ann, password: pass-1 }');
    const env = { HIVEBUS_NATS_USER: 'ann', HIVEBUS_NATS_PASSWORD_FILE: file('pass-1') };
    await using hive = await connect({ servers: server.url, env, home: dir });
    await hive.nc.flush();
    expect(await refused(connect({ servers: server.url, env: {}, home: dir }))).toMatchObject({
      reason: 'BUS_REFUSED',
    });
    const half = await refused(connect({ servers: server.url, env: { HIVEBUS_NATS_USER: 'ann' }, home: dir }));
    expect(half).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('_PASSWORD_FILE') });
  });

  test('by a token', async () => {
    const server = await serve('authorization { token: "t0ken" }');
    await accepted(server, { tokenFile: file('t0ken\n') });
    expect(await refused(accepted(server, { tokenFile: file('other') }))).toMatchObject({ reason: 'BUS_REFUSED' });
  });

  test('by an nkey', async () => {
    const [ann, bob] = [createUser(), createUser()];
    const server = await serve(`authorization { users: [ { nkey: ${ann.getPublicKey()} } ] }`);
    await accepted(server, { nkeyFile: file(seedOf(ann)) });
    expect(await refused(accepted(server, { nkeyFile: file(seedOf(bob)) }))).toMatchObject({ reason: 'BUS_REFUSED' });
  });

  test("by a creds file, a user's JWT and nkey", async () => {
    const [operator, user] = [createOperator(), createUser()];
    const [system, account, stranger] = [createAccount(), createAccount(), createAccount()];
    const known = [system, account].map((each) => {
      const claims = { type: 'account', limits: NO_LIMITS };
      return `${each.getPublicKey()}: "${jwt(operator, each, claims)}"`;
    });
    const server = await serve(`
      operator: "${jwt(operator, operator, { type: 'operator' })}"
      system_account: ${system.getPublicKey()}
      resolver: MEMORY
      resolver_preload: { ${known.join(', ')} }`);
    const creds = (issuer: KeyPair) => file(credsText(jwt(issuer, user, { type: 'user', ...NO_LIMITS }), seedOf(user)));
    await accepted(server, { credsFile: creds(account) });
    expect(await refused(accepted(server, { credsFile: creds(stranger) }))).toMatchObject({ reason: 'BUS_REFUSED' });
  });

  test.each([
    ['a file that is not there', { tokenFile: join(dir, 'nowhere') }, 'ENOENT'],
    ['an empty file', { user: 'ann', passwordFile: file(' \n') }, 'it is empty'],
    ['no seed', { nkeyFile: file('nonsense') }, 'cannot use the NATS credentials'],
    ['no creds', { credsFile: file('nonsense') }, 'unable to parse'],
    ['no certificate', { caFile: file('nonsense') }, 'it must be PEM'],
  ] as [string, BusAccess, string][])('%s is told before anything is tried', async (_what, access, why) => {
    const error = await refused(accepted({ url: 'nats://127.0.0.1:9' }, access));
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'BUS_ACCESS' });
    expect(error.message).toContain(why);
    expect(error.message).toContain(Object.values(access).at(-1));
  });

  test('a password in an address is refused and not repeated', async () => {
    const error = await refused(accepted({ url: 'nats://ann:pass-1@127.0.0.1:9' }));
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(error.message).not.toContain('pass-1');
  });
});

describe('a login that changes', () => {
  /** A server whose password can be changed while it runs: it ends connections whose login does not hold any more. */
  async function changeable() {
    const server = await serve('authorization { user: ann, password: pass-1 }');
    const configFile = join(server.dir, 'nats.conf');
    const change = (password: string) => {
      writeFileSync(configFile, readFileSync(configFile, 'utf8').replace(/pass-\d/, password));
      process.kill(server.pid, 'SIGHUP');
    };
    const passwordFile = file('pass-1');
    const told: BusStatus[] = [];
    const nc = await connectBus({
      ...{ servers: server.url, name: 'test', jetStream: false, access: { user: 'ann', passwordFile } },
      onStatus: (status) => told.push(status),
    });
    onTestFinished(() => nc.close());
    return { nc, change, passwordFile, told };
  }

  test('the file is read again: a new password counts at the next reconnect', async () => {
    const { nc, change, passwordFile, told } = await changeable();
    writeFileSync(passwordFile, 'pass-2');
    change('pass-2');
    await until(() => told.some(({ message }) => message.startsWith('connected to the bus again')));
    await nc.flush();
  });

  test('a connection that is refused again and again is given up, with the reason', async () => {
    const { nc, change } = await changeable();
    change('pass-2');
    const error = await givenUp(nc);
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', reason: 'BUS_REFUSED' });
    expect(error.message).toContain('the user ann');
    await until(() => nc.isClosed());
  });
});

describe.skipIf(noOpenssl() !== undefined)('TLS', () => {
  let ours: Authority;
  let other: Authority;
  let tls: (more?: string) => string;
  beforeAll(() => {
    ours = new Authority(dir, 'ours');
    other = new Authority(dir, 'other');
    const { certFile, keyFile } = ours.issue('server');
    tls = (more = '') => `tls { cert_file: "${certFile}", key_file: "${keyFile}", timeout: 10, ${more} }`;
  });

  test('the server is known by its authority; any other is refused', async () => {
    const server = await serve(tls());
    await accepted(server, { caFile: ours.caFile });
    for (const access of [{ caFile: other.caFile }, {}]) {
      const error = await refused(connectBus({ servers: server.url, name: 'test', access, waitMs: 600_000 }));
      expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', reason: 'BUS_TLS' });
      expect(error.message).toContain('HIVEBUS_NATS_CA_FILE');
    }
  });

  test('what wants TLS does not go on in the clear', async () => {
    const server = await serve('');
    expect(await refused(accepted(server, { caFile: ours.caFile }))).toMatchObject({ reason: 'BUS_TLS' });
    const url = server.url.replace('nats://', 'tls://');
    expect(await refused(accepted({ url }))).toMatchObject({ reason: 'BUS_TLS' });
  });

  test('the server knows us by our certificate', async () => {
    const server = await serve(tls(`ca_file: "${ours.caFile}", verify: true`));
    const mine = ours.issue('client');
    await accepted(server, { caFile: ours.caFile, ...mine });
    const nothing = await refused(accepted(server, { caFile: ours.caFile }));
    expect(nothing).toMatchObject({ code: 'UNAVAILABLE', message: expect.stringContaining('HIVEBUS_NATS_CERT_FILE') });
    const mixed = { caFile: ours.caFile, certFile: mine.certFile, keyFile: ours.issue('another').keyFile };
    expect(await refused(accepted(server, mixed))).toMatchObject({ reason: 'BUS_TLS' });
  });
});

const seedOf = (keys: KeyPair): string => new TextDecoder().decode(keys.getSeed());

const NO_LIMITS = { subs: -1, data: -1, payload: -1, imports: -1, exports: -1, wildcards: true, conn: -1, leaf: -1 };

/** A NATS JWT, as its tool `nsc` makes it: who signs, about whom, what. */
function jwt(issuer: KeyPair, subject: KeyPair, nats: object): string {
  const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const [iss, sub] = [issuer.getPublicKey(), subject.getPublicKey()];
  const claims = { jti: 'test', iat: 1, iss, sub, name: 'test', nats: { version: 2, ...nats } };
  const text = `${part({ typ: 'JWT', alg: 'ed25519-nkey' })}.${part(claims)}`;
  return `${text}.${Buffer.from(issuer.sign(new TextEncoder().encode(text))).toString('base64url')}`;
}

const credsText = (userJwt: string, seed: string): string =>
  [
    ...['-----BEGIN NATS USER JWT-----', userJwt, '------END NATS USER JWT------', ''],
    ...['-----BEGIN USER NKEY SEED-----', seed, '------END USER NKEY SEED------', ''],
  ].join('\n');
