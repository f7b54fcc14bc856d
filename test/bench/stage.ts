import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from '../../libs/sdk/connect.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { operatorKeyFile, readOrCreateKey } from '../../libs/sdk/keys.ts';
import { Closing } from '../../libs/service/closing.ts';
import { type NatsServer, startNatsServer } from '../../libs/testkit/nats-server.ts';
import { compiled, type Program, startNode } from './processes.ts';

/** A bus of its own, with an operator who may do all. Disposing it ends everything that was started on it. */
export interface Stage extends AsyncDisposable {
  readonly nats: NatsServer;
  /** Where the operator's key lies. */
  readonly home: string;
  /** Runs a service in its own process, as users do. It is ready when it says that it is serving. */
  start(service: 'registry' | 'resource-pool', env?: Readonly<Record<string, string>>): Program;
  /** A connection of the operator's own. */
  connect(): Promise<Hive>;
}

/** The operator whose key lies in a stage's home. */
export const OPERATOR = 'bench';

/** As `bin/hivebus` and the containers start them. */
const YOUNG = '--max-semi-space-size=32';

export async function setStage(options: { syncAlways?: boolean } = {}): Promise<Stage> {
  const home = mkdtempSync(join(tmpdir(), 'hivebus-bench-home-'));
  const key = await readOrCreateKey(operatorKeyFile(home, OPERATOR));
  mkdirSync(join(home, 'operators'));
  writeFileSync(join(home, 'operators', `${OPERATOR}.pub`), `${key.publicKey}\n`);
  const nats = await startNatsServer(options);
  const closing = new Closing();
  closing.use({ [Symbol.dispose]: () => rmSync(home, { recursive: true, force: true }) });
  closing.use(nats);
  return {
    nats,
    home,
    start(service, env = {}) {
      const settings = { HIVEBUS_NATS: nats.url, HIVEBUS_HOME: home, HIVEBUS_GRPC_PORT: '0' };
      return closing.use(startNode([YOUNG, compiled(`services/${service}/main.js`)], { ...settings, ...env }));
    },
    connect: async () =>
      closing.use(await connect({ servers: nats.url, home, identity: { kind: 'operator', name: OPERATOR }, env: {} })),
    [Symbol.asyncDispose]: () => closing[Symbol.asyncDispose](),
  };
}
