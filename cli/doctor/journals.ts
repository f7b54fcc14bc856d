import { type JetStreamManager, jetstreamManager, type PeerInfo, type StreamInfo } from '@nats-io/jetstream';
import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { permissionViolation } from '../../libs/bus/permission.ts';
import { natsLine } from '../../libs/journal/nats-line.ts';
import { counted } from '../../libs/kernel/counted.ts';
import { formatDuration } from '../../libs/kernel/durations.ts';
import {
  deadLetterStream,
  journalStream,
  leaderSubject,
  rpcRepeatSubject,
  snapshotBucket,
} from '../../libs/protocol/subjects.ts';
import { SERVICES, type ServiceName } from '../journal-events.ts';
import { clockFinding } from './bus.ts';
import { broken, bytesText, type Finding, look, ok, warning } from './finding.ts';
import { JETSTREAM_MS, jetStreamTrouble, QUORUM_MEND } from './trouble.ts';

/** A read of each service that every replica answers from its own state. */
const READS: Readonly<Record<ServiceName, string>> = { registry: 'ListSwarms', pool: 'ListTasks' };
const START = 'start it: `hivebus up`, or its own main';
const PROBE_MS = 1000;
const ANSWERS_MS = 1500;
/** Records that a replica may be behind: a busy journal writes thousands a second. */
const LAG = 2000;

/** The journals of a federation: their streams, who leads them, and how far each replica has come. */
export async function lookAtJournals(nc: NatsConnection, federation: string): Promise<readonly Finding[]> {
  const jsm = await jetstreamManager(nc, { timeout: JETSTREAM_MS, checkAPI: false });
  const found = await Promise.all(
    SERVICES.map((service) =>
      look(`${service} in ${federation}`, START, () => lookAtJournal(nc, jsm, federation, service)),
    ),
  );
  return [...found.flat(), await lookAtDeadLetters(jsm, federation)];
}

async function lookAtJournal(
  nc: NatsConnection,
  jsm: JetStreamManager,
  federation: string,
  service: ServiceName,
): Promise<Finding[]> {
  const stream = journalStream(federation, service);
  const check = `journal ${stream}`;
  try {
    const bucket = `OBJ_${snapshotBucket(federation, service)}`;
    const [journal, snapshots] = await Promise.all([infoOf(jsm, stream), infoOf(jsm, bucket)]);
    if (!journal) return [broken(check, 'there is none', START)];
    const findings = [streamFinding(check, journal), ...copiesFindings(check, journal)];
    if (!snapshots) {
      findings.push(broken(`snapshots of ${stream}`, 'there are none', 'restore the bucket from a backup'));
    }
    return [...findings, ...(await lookAtService(nc, federation, service, journal.state.last_seq))];
  } catch (error) {
    const mayProbe = permissionViolation(error) === undefined;
    return [jetStreamTrouble(check, error), ...(await lookAtService(nc, federation, service, 0, mayProbe))];
  }
}

function streamFinding(check: string, { config, state }: StreamInfo): Finding {
  const found = `records ${state.first_seq} to ${state.last_seq}, ${bytesText(state.bytes)}, ${config.num_replicas} copies`;
  const mend = 'remove the limit (`nats stream edit`): a journal cuts itself, after a snapshot';
  const limited = [config.max_bytes, config.max_msgs].some((limit) => limit > 0) || config.max_age > 0;
  return limited
    ? broken(check, `${found}, and has a limit`, mend)
    : ok(check, found.replace(', 1 copies', ', 1 copy'));
}

/** Of a cluster: the stream's own leader and its followers. */
function copiesFindings(check: string, { cluster, config }: StreamInfo): Finding[] {
  if (!cluster?.name) return [];
  const followers = cluster.replicas ?? [];
  const copies = `${check}, its copies`;
  if (!cluster.leader) {
    const lost = followers.filter(({ offline }) => offline).map(({ name }) => `${name} is down`);
    return [broken(copies, ['no leader, so nothing can be written', ...lost].join('; '), QUORUM_MEND)];
  }
  const missing = followers.filter(({ offline, current }) => offline || !current);
  if (missing.length > 0) {
    const how = missing.map((peer) => `${peer.name} (${howFar(peer)})`);
    const found = `not in step: ${how.join(', ')}; leader ${cluster.leader}`;
    if (2 * (config.num_replicas - missing.length) <= config.num_replicas) return [broken(copies, found, QUORUM_MEND)];
    const mend = 'start the NATS servers that are down, or wait for those that catch up; with one more lost it stops';
    return [warning(copies, found, mend)];
  }
  if (config.num_replicas < 3) {
    const mend = 'set HIVEBUS_REPLICAS=3 before the first start, or `nats stream edit --replicas 3`';
    return [warning(copies, 'on a cluster, yet not kept three times: one server lost is the journal lost', mend)];
  }
  const found = `leader ${cluster.leader}, followers ${followers.map(({ name, lag = 0 }) => `${name} (${lag} behind)`).join(', ')}`;
  return [ok(copies, found)];
}

function howFar({ offline, lag = 0, active }: PeerInfo): string {
  if (offline) return 'down';
  return lag > 0 ? `${lag} behind` : `silent for ${formatDuration(Math.round(active / 1e9) * 1000)}`;
}

async function lookAtService(
  nc: NatsConnection,
  federation: string,
  service: ServiceName,
  last: number,
  mayProbe = true,
) {
  const line = natsLine(nc, leaderSubject(federation, service));
  const sent = Date.now();
  const [leader, answers] = await Promise.all([line.probe(0, PROBE_MS), ask(nc, federation, service)]);
  const name = `${service} in ${federation}`;
  if (answers.length === 0) return [broken(name, 'nobody answers', START)];
  const findings: Finding[] = [];
  const replicas = answers.length === 1 ? 'one replica' : `${answers.length} replicas`;
  if (leader === 'alive') findings.push(ok(name, `has a leader and ${replicas}`));
  else if (!mayProbe) findings.push(ok(name, `${replicas}; our login may not ask who leads`));
  else {
    const mend = `look into its log; a record that stops it is passed over with: hivebus doctor skip-record --service ${service}`;
    findings.push(broken(name, leader === 'none' ? 'nobody leads' : 'its leader does not answer', mend));
  }
  for (const { replica, revision, time, at } of answers) {
    const lag = Math.max(0, last - revision);
    const where = `replica ${replica} of ${name}`;
    if (lag > LAG)
      findings.push(
        warning(where, `${counted(lag, 'record')} behind the journal`, 'wait until it has caught up, or see its log'),
      );
    else if (answers.length > 1)
      findings.push(ok(where, lag === 0 ? 'in step with the journal' : `${counted(lag, 'record')} behind`));
    const clock = clockFinding(`clock of ${where}`, time, sent, at);
    if (clock.status !== 'ok') findings.push(clock);
  }
  if (findings.every(({ check }) => !check.startsWith('clock'))) {
    findings.push(ok(`clocks of ${name}`, 'agree with ours'));
  }
  return findings;
}

interface Answered {
  readonly replica: string;
  readonly revision: number;
  readonly time: string;
  /** When it arrived. */
  readonly at: number;
}

/** Asks all replicas; those that have not answered in a moment are not counted. */
async function ask(nc: NatsConnection, federation: string, service: ServiceName): Promise<Answered[]> {
  const subject = rpcRepeatSubject(federation, service, READS[service]);
  const options = { strategy: 'stall', maxWait: ANSWERS_MS } as const;
  const answers: Answered[] = [];
  for await (const message of await nc.requestMany(subject, '{"pageSize":1}', options)) {
    if (!(message instanceof Error) && message.data.length > 0) answers.push(answerOf(message));
  }
  return answers.sort((a, b) => (a.replica < b.replica ? -1 : 1));
}

function answerOf(message: Msg): Answered {
  const { revision = '0' } = message.json<{ revision?: string }>();
  // An answer's id is its writer's own and a counter.
  const replica = message.headers?.get('ce-id').replace(/-\d+$/, '') ?? '';
  return { replica, revision: Number(revision), time: message.headers?.get('ce-time') ?? '', at: Date.now() };
}

async function lookAtDeadLetters(jsm: JetStreamManager, federation: string): Promise<Finding> {
  const stream = deadLetterStream(federation);
  const check = `dead letters of ${federation}`;
  try {
    return deadLettersFinding(check, (await infoOf(jsm, stream))?.state.messages ?? 0);
  } catch (error) {
    return jetStreamTrouble(check, error);
  }
}

export function deadLettersFinding(check: string, count: number): Finding {
  if (count === 0) return ok(check, 'none');
  const [kept, them] =
    count === 1
      ? ['1 failed task is kept', 'it with its reason']
      : [`${count} failed tasks are kept`, 'them with their reasons'];
  return warning(check, kept, `read ${them}: hivebus task dead-letters`);
}

/** JetStream's code for a stream that is not there. */
const STREAM_NOT_FOUND = 10059;

async function infoOf(jsm: JetStreamManager, stream: string): Promise<StreamInfo | undefined> {
  try {
    return await jsm.streams.info(stream);
  } catch (error) {
    if ((error as { code?: number }).code === STREAM_NOT_FOUND) return undefined;
    throw error;
  }
}
