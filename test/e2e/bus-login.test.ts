import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createUser } from '@nats-io/nkeys';
import { afterEach, describe, expect, onTestFailed, test } from 'vitest';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { until } from '../../libs/testkit/until.ts';
import { Authority, type Certificate, noOpenssl } from '../integration/certificates.ts';
import { Playground, type Ran, type Started } from './hivebus.ts';

/**
 * A login that the NATS server does not take, or does not let do what it must, and certificates that do not hold: services,
 * the command line and agents say which and why, and go on when it is mended.
 */

const PATIENCE_MS = 60_000;
const AGENT = ['agent', 'run', '--swarm', 'code', '--type', 'echo', '--name', 'a1', '--exec', 'cat'];

let playground: Playground;
let server: NatsServer | undefined;
let dir: string;

function begin(): void {
  playground = new Playground();
  dir = mkdtempSync(join(tmpdir(), 'hivebus-login-'));
}

afterEach(async () => {
  await playground[Symbol.asyncDispose]();
  await server?.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** Services that serve, on a bus that lets them. */
async function serve(env: NodeJS.ProcessEnv): Promise<Started[]> {
  const mains = ['services/registry/main.js', 'services/resource-pool/main.js'];
  const services = mains.map((main) => playground.program(main, [], env));
  onTestFailed(() => console.log(services.map((each) => each.said()).join('\n')));
  await Promise.all(services.map((each) => says(each, 'is serving')));
  return services;
}

const says = (process: Started, text: string) => until(() => process.said().includes(text), PATIENCE_MS);

const run = (args: readonly string[], env: NodeJS.ProcessEnv): Promise<Ran> => playground.start(args, env).ended;

interface Login {
  readonly seed: string;
  readonly publicKey: string;
}

function newLogin(): Login {
  const user = createUser();
  return { seed: new TextDecoder().decode(user.getSeed()), publicKey: user.getPublicKey() };
}

/** As docker-compose's, so that what is left out is what is missed. */
const CLIENT = ['hive.*.rpc.>', '_HIVE.*.rpc.>', 'hive.*.heartbeat.>', 'hive.*.task.*.log', '_INBOX.>'];
const HEARTBEATS = 'hive.*.heartbeat.>';
const NOTHING = ['_INBOX.>'];
const MAY_NOT_ASK = 'does not let our login send on hive.main.rpc.registry';

const mayPublish = ({ publicKey }: Login, subjects: readonly string[]): string =>
  `{ nkey: ${publicKey}, permissions: { publish: ${JSON.stringify(subjects)}, subscribe: ["_INBOX.>", "_HIVE.*.agent.>", "hive.*.pool.agent.>"] } }`;

test('wrong keys and missing permissions', async () => {
  begin();
  const [service, client] = [newLogin(), newLogin()];
  const config = (clients: readonly string[]) =>
    `authorization { timeout: 10, users: [ { nkey: ${service.publicKey} }, ${mayPublish(client, clients)} ] }`;
  const permitted = (subjects: readonly string[]) => {
    const path = join(server?.dir ?? '', 'nats.conf');
    writeFileSync(path, readFileSync(path, 'utf8').replace(/authorization .*/, config(subjects)));
    process.kill(server?.pid as number, 'SIGHUP');
  };
  server = await startNatsServer({ config: config(NOTHING) });
  const as = ({ seed }: Login, name: string): NodeJS.ProcessEnv => {
    writeFileSync(join(dir, name), seed);
    return { HIVEBUS_NATS: server?.url, HIVEBUS_GRPC_PORT: '0', HIVEBUS_NATS_NKEY_FILE: join(dir, name) };
  };

  // Somebody else's key: everything ends at once, and says whose key it was; with the right one in its place it works.
  const stranger = as(newLogin(), 'service.nk');
  const refusal = `refuses us (Authorization Violation), with the nkey of ${join(dir, 'service.nk')}`;
  const [registry, status, agent, doctor] = await Promise.all([
    playground.program('services/registry/main.js', [], stranger).ended,
    run(['status'], stranger),
    run(AGENT, stranger),
    run(['doctor'], stranger),
  ]);
  expect([registry.code, status.code, agent.code, doctor.code]).toEqual([1, 5, 5, 1]);
  for (const { stdout, stderr } of [registry, status, agent]) expect(stdout + stderr).toContain(refusal);
  expect(doctor.stdout).toContain('name a login that the server knows');
  await serve(as(service, 'service.nk'));

  // A login that may do nothing.
  const limited = as(client, 'client.nk');
  const asking = playground.start(AGENT, limited);
  const [asks, listens, serves, looks] = await Promise.all([
    run(['status'], limited),
    run(['events'], limited),
    playground.program('services/registry/main.js', [], limited).ended,
    run(['doctor'], limited),
    says(asking, MAY_NOT_ASK),
  ]);
  asking.child.kill('SIGKILL');
  await asking.ended;
  expect([asks.code, listens.code, serves.code, looks.code]).toEqual([5, 5, 1, 1]);
  expect(asks.stderr).toContain(MAY_NOT_ASK);
  expect(listens.stderr).toContain('does not let our login listen on hive.main.>');
  expect(serves.stdout + serves.stderr).toContain('does not let our login send on $JS.API.INFO');
  expect(looks.stdout).toContain('our login may not ask JetStream');

  // One that may do all but send heartbeats, and then that, too: the agent goes on by itself.
  permitted(CLIENT.filter((subject) => subject !== HEARTBEATS));
  const working = playground.start(AGENT, limited);
  onTestFailed(() => console.log(working.said()));
  await says(working, 'does not let our login send on hive.main.heartbeat.code.a1');
  permitted(CLIENT);
  const isReady = async () => {
    const { stdout } = await run(['get', 'agents', '-o', 'json'], limited);
    return stdout.includes('AGENT_STATE_READY');
  };
  await until(isReady, PATIENCE_MS);
});

describe.skipIf(noOpenssl() !== undefined)('TLS', () => {
  test('a certificate of an unknown authority, and one that is over', async () => {
    begin();
    const [ours, other] = [new Authority(dir, 'ours'), new Authority(dir, 'other')];
    const [cert, key] = [join(dir, 'cert.pem'), join(dir, 'key.pem')];
    const present = ({ certFile, keyFile }: Certificate) => {
      copyFileSync(certFile, cert);
      copyFileSync(keyFile, key);
    };
    const good = ours.issue('good');
    present(good);
    server = await startNatsServer({ config: `tls { cert_file: "${cert}", key_file: "${key}", timeout: 10 }` });
    const env = { HIVEBUS_NATS: server.url, HIVEBUS_GRPC_PORT: '0', HIVEBUS_NATS_CA_FILE: ours.caFile };
    const [registry] = (await serve(env)) as [Started];
    const agent = playground.start(AGENT, env);
    await says(agent, 'is ready');
    const faults = [
      { certificate: other.issue('foreign'), why: 'unable to verify the first certificate' },
      { certificate: ours.issue('over', -1), why: 'certificate has expired' },
    ];
    for (const { certificate, why } of faults) {
      present(certificate);
      await server.restart();
      const told = `no TLS with NATS at ${server.url}: ${why}`;
      const [status, doctor] = await Promise.all([
        run(['status'], env),
        run(['doctor'], env),
        says(registry, told),
        says(agent, told),
      ]);
      expect([status.code, doctor.code]).toEqual([1, 1]);
      expect(status.stderr).toContain(told);
      expect(doctor.stdout).toContain('HIVEBUS_NATS_CA_FILE');
    }
    present(good);
    await server.restart();
    await says(agent, 'the pool answers again');
    await says(registry, 'connected to the bus again');
    expect((await run(['status'], env)).code).toBe(0);
  });
});
