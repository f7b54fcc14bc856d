import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { headerBytes } from '../../libs/bus/message.ts';
import type { Journal } from '../../libs/journal/journal.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { disposable } from '../../libs/kernel/disposable.ts';
import { HiveError, quote } from '../../libs/kernel/errors.ts';
import { decodeHeaders, readCallHeaders } from '../../libs/protocol/envelope.ts';
import { describePrincipal, type Principal } from '../../libs/protocol/principal.ts';
import { agentHeartbeatsOfAll, heartbeatSubject } from '../../libs/protocol/subjects.ts';
import type { Authenticate } from '../../libs/rpc/authenticate.ts';
import { requestSchema } from '../../libs/rpc/schema.ts';
import type { AgentHeartbeat } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { type AgentRow, agentKey } from './core/rows.ts';
import type { PoolShape } from './core/state.ts';
import type { Liveness } from './liveness.ts';
import type { ProgressBoard } from './progress.ts';

export interface HeartbeatDeps {
  readonly nc: NatsConnection;
  readonly journal: Journal<PoolShape>;
  readonly liveness: Liveness;
  readonly progress: Pick<ProgressBoard, 'take'>;
  readonly clock: Pick<Clock, 'now'>;
  readonly authenticate: Authenticate;
  /** Told of each heartbeat that was not taken. */
  readonly ignored: (why: HiveError) => void;
}

/** Takes the heartbeats of all agents of the journal's federation. Nobody is answered. */
export function listenToHeartbeats(deps: HeartbeatDeps): Disposable {
  const { nc, journal, liveness, progress, clock, authenticate, ignored } = deps;
  const { federation } = journal;
  const schema = requestSchema('hivebus.pool.v1.AgentHeartbeat');

  const take = (message: Msg): void => {
    const { token } = readCallHeaders(decodeHeaders(headerBytes(message)));
    const principal = authenticate(token, federation);
    const beat = schema.decode(message.data) as AgentHeartbeat;
    if (message.subject !== heartbeatSubject(federation, beat.swarm, beat.agent)) throw otherSubject(message, beat);
    const row = journal.state.agents.get(agentKey(beat.swarm, beat.agent));
    if (row?.instance !== beat.instance) throw otherInstance(beat, row);
    if (!isOwn(principal, row)) throw stranger(principal, row);
    if (beat.brokenOff) liveness.brokeOff(row);
    else liveness.beat(row, beat.bySession);
    if (beat.progress.length > 0) progress.take(row.key, beat.progress, clock.now());
  };

  const subscription = nc.subscribe(agentHeartbeatsOfAll(federation), {
    callback: (error, message) => {
      if (error) return;
      try {
        take(message);
      } catch (why) {
        ignored(HiveError.from(why));
      }
    },
  });
  return disposable(() => subscription.unsubscribe());
}

function isOwn(principal: Principal, row: AgentRow): boolean {
  if (principal.kind === 'operator') return true;
  if (principal.kind !== 'agent' && principal.kind !== 'swarm') return false;
  const isNamed = principal.kind === 'swarm' || principal.name === row.name;
  return isNamed && principal.swarm === row.home && principal.key === row.ownerKey;
}

const otherSubject = (message: Msg, { swarm, agent }: AgentHeartbeat): HiveError =>
  new HiveError('INVALID_ARGUMENT', `a heartbeat of agent ${quote(agentKey(swarm, agent))} came on ${message.subject}`);

const otherInstance = ({ swarm, agent, instance }: AgentHeartbeat, row: AgentRow | undefined): HiveError =>
  new HiveError(
    row ? 'ABORTED' : 'NOT_FOUND',
    `a heartbeat of instance ${quote(instance)} of agent ${quote(agentKey(swarm, agent))}, which is ` +
      `${row ? `replaced by ${quote(row.instance)}` : 'not registered'}`,
  );

const stranger = (principal: Principal, row: AgentRow): HiveError =>
  new HiveError('PERMISSION_DENIED', `${describePrincipal(principal)} may not beat for agent ${quote(row.key)}`);
