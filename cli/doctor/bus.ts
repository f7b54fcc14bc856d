import { existsSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { type JetStreamAccountStats, jetstreamManager } from '@nats-io/jetstream';
import type { NatsConnection } from '@nats-io/nats-core';
import { isAtLeast, OLDEST_NATS_SERVER } from '../../libs/bus/version.ts';
import { broken, bytesText, type Finding, fullness, look, ok, unknown, warning } from './finding.ts';
import { JETSTREAM_MS, jetStreamTrouble } from './trouble.ts';

/** Our journals' records and requests are made for this, the default of nats-server. */
const USUAL_PAYLOAD = 1 << 20;
const OLDEST_CLUSTER_SERVER = '2.12.0';
const ROOM_MEND = 'raise max_file_store of the NATS server, or give its disk more room';

/** The server that we are connected to: its version and what it lets us do. */
export function lookAtServer(nc: NatsConnection): Finding[] {
  const { version = '0.0.0', max_payload: payload = 0, server_name: name = '', cluster = '' } = nc.info ?? {};
  const findings = [serverFinding('nats', { version, name, cluster })];
  if (payload < USUAL_PAYLOAD) {
    const mend = `set max_payload: ${USUAL_PAYLOAD} in the NATS server's configuration`;
    findings.push(warning('payload', `${bytesText(payload)} a message at most`, mend));
  } else findings.push(ok('payload', `${bytesText(payload)} a message at most`));
  return findings;
}

/** A server by what it says of itself, and whether it is new enough. */
export function serverFinding(check: string, server: { version: string; name: string; cluster: string }): Finding {
  const { version, name, cluster } = server;
  const found = `nats-server ${version}${name && ` (${name})`}${cluster && `, of cluster ${cluster}`}`;
  if (!isAtLeast(version, OLDEST_NATS_SERVER)) {
    return broken(check, found, `use nats-server ${OLDEST_NATS_SERVER} or later`);
  }
  if (cluster && !isAtLeast(version, OLDEST_CLUSTER_SERVER)) {
    const mend = `use nats-server ${OLDEST_CLUSTER_SERVER} or later for clusters: older ones are not tested with replicas`;
    return warning(check, found, mend);
  }
  return ok(check, found);
}

/** JetStream, as our account sees it. */
export async function lookAtJetStream(nc: NatsConnection): Promise<Finding[]> {
  try {
    const jsm = await jetstreamManager(nc, { timeout: JETSTREAM_MS, checkAPI: false });
    return [accountFinding(await jsm.getAccountInfo())];
  } catch (error) {
    return [jetStreamTrouble('jetstream', error)];
  }
}

function accountFinding({ storage, streams, limits }: JetStreamAccountStats): Finding {
  const { max_storage: maxStorage = -1, max_streams: maxStreams = -1 } = limits;
  const streamText = `${streams} streams${maxStreams > 0 ? ` of ${maxStreams}` : ''}`;
  return fullness('jetstream', storage, maxStorage, `in ${streamText}`, ROOM_MEND);
}

interface Jsz {
  readonly config?: {
    readonly max_storage?: number;
    readonly store_dir?: string;
    readonly sync_interval?: number;
    readonly sync_always?: boolean;
  };
  readonly storage?: number;
  readonly now?: string;
}

/** What only monitoring ports tell, several split by commas; a check of one of several has its address in its name. */
export async function lookAtMonitoring(urls: string | undefined, version: string): Promise<Finding[]> {
  if (!urls) return [unknown('sync', 'the monitoring port is not known', 'give it: --monitoring http://HOST:8222')];
  const port = 'see whether the monitoring port is open: http_port of its configuration';
  const all = urls.split(',').map(async (url) => {
    const found = await look('sync', port, () => lookAtPort(url, version));
    const named = (check: string) => (urls.includes(',') ? `${check} of ${url.replace(/^\w+:\/\//, '')}` : check);
    return found.map((finding) => ({ ...finding, check: named(finding.check) }));
  });
  return (await Promise.all(all)).flat();
}

/** Whether the server syncs, its own limits, its clock, its disk. */
async function lookAtPort(url: string, version: string): Promise<Finding[]> {
  const sent = Date.now();
  const response = await fetch(new URL('/jsz?config=true', url), { signal: AbortSignal.timeout(5000) });
  const jsz = (await response.json()) as Jsz;
  const received = Date.now();
  const { config = {}, storage = 0 } = jsz;
  return [
    syncFinding(config, version),
    fullness('file store', storage, config.max_storage ?? 0, 'in files', ROOM_MEND),
    ...(await lookAtDisk(config.store_dir)),
    ...(jsz.now ? [clockFinding('clock of nats', jsz.now, sent, received)] : []),
  ];
}

function syncFinding(
  { sync_always: always, sync_interval: interval = 0 }: NonNullable<Jsz['config']>,
  version: string,
) {
  if (always) return ok('sync', 'each write is on disk before it is acknowledged');
  const late = interval > 0 ? `up to ${Math.round(interval / 1e9)} s ` : '';
  const mend = isAtLeast(version, '2.10.0')
    ? 'set sync_interval: always in the jetstream block of its configuration'
    : 'use nats-server 2.10 or later with sync_interval: always';
  return warning('sync', `writes reach the disk ${late}later: a power cut may lose what was acknowledged`, mend);
}

/** The disk of a folder, when it is one of this machine. */
export async function lookAtDisk(folder: string | undefined): Promise<Finding[]> {
  if (!folder || !existsSync(folder)) return [];
  const { bavail, blocks, bsize } = await statfs(folder);
  const mend = `make room on the disk of ${folder}: a full one stops every journal`;
  return [fullness('disk', (blocks - bavail) * bsize, blocks * bsize, `used, of the disk of ${folder}`, mend)];
}

/** Tokens live for minutes and heartbeats for seconds: clocks may differ by less than that. */
const CLOCK_WARNING_MS = 1000;
const CLOCK_FAULT_MS = 30_000;

/** A clock that was read between `sent` and `received` of our own. Differences within the way there mean nothing. */
export function clockFinding(check: string, time: string, sent: number, received: number): Finding {
  const offset = Date.parse(time) - (sent + received) / 2;
  const apart = Math.max(0, Math.abs(offset) - (received - sent) / 2);
  const found = apart === 0 ? 'the same as here' : `${Math.round(apart)} ms ${offset > 0 ? 'ahead of' : 'behind'} ours`;
  const mend = 'let both machines follow the same time server (NTP)';
  if (Number.isNaN(offset)) return unknown(check, `it says ${time}`, mend);
  if (apart > CLOCK_FAULT_MS) return broken(check, found, mend);
  return apart > CLOCK_WARNING_MS ? warning(check, found, mend) : ok(check, found);
}
