// Makes the secrets of docker-compose.yml, each in the folder that becomes the volume of whoever needs it. What is there
// already stays, so that it may run before every start.
//   node dist/deploy/docker/secrets/main.js [folder]
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createUser, fromSeed } from '@nats-io/nkeys';
import { operatorKeyFile, readOrCreateKey } from '../../../libs/sdk/keys.ts';

const folder = process.argv[2] ?? '/run/hivebus';
const OPERATOR = 'local';

/** Other containers have other users: who may read a file is decided by who has its volume. */
const READABLE = 0o644;

function write(path: string, text: string): void {
  const file = join(folder, path);
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, `${text}\n`);
  chmodSync(file, READABLE);
}

/** What a file holds; made now when it is not there. */
function kept(path: string, make: () => string): string {
  if (!existsSync(join(folder, path))) {
    write(path, make());
    console.log(`made ${path}`);
  }
  return readFileSync(join(folder, path), 'utf8').trim();
}

/** The public half of an nkey whose seed lies there. */
function nkey(path: string): string {
  const seed = kept(path, () => new TextDecoder().decode(createUser().getSeed()));
  return fromSeed(new TextEncoder().encode(seed)).getPublicKey();
}

const password = (): string => randomBytes(24).toString('base64url');

// The NATS server gets public halves only, and a password that its cluster shares.
write('nats/nkeys.conf', `SERVICE_NKEY: ${nkey('service/nats.nk')}\nCLIENT_NKEY: ${nkey('client/nats.nk')}`);
const routePassword = kept('nats/route-password', password);
const routes = ['nats', 'nats-2', 'nats-3'].map((host) => `"nats://route:${routePassword}@${host}:6222"`);
write('nats/routes.conf', `ROUTE_PASSWORD: "${routePassword}"\nROUTES: [${routes.join(', ')}]`);

write('redis/redis.conf', `requirepass ${kept('redis/password', password)}`);
kept('grafana/password', password);

const operator = await readOrCreateKey(operatorKeyFile(join(folder, 'operator'), OPERATOR));
write(`operators/${OPERATOR}.pub`, operator.publicKey);
