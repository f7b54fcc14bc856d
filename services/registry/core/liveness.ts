import { timestamp, timestampMs } from '../../../libs/kernel/timestamps.ts';
import type { Ctx, EventOf, Stamp } from '../../../libs/protocol/machine.ts';
import type { SwarmLivenessChanged } from '../../../libs/wire/hivebus/registry/v1/events.ts';
import { onlyServices } from './access.ts';
import { type Decided, type LivenessObservation, type RegistryShape, type RegistryState, setSwarm } from './state.ts';

/**
 * Liveness in the journal. Heartbeats are soft: every replica feeds its own failure detectors with them (the shell's
 * liveness-monitor.ts), and only what changes becomes an event, as the leader's detector saw it:
 *
 *     registered ─► healthy, not monitored ─ first heartbeat ─► healthy ◄─ heartbeat, registration ─┐
 *                                                                  └─ silence ─► suspect ─► unreachable
 *                                                                                               └─ removed, by policy
 *
 * A swarm that never sent a heartbeat is not suspected: nobody knows that it would. Unreachable swarms stay registered
 * until they are back, deregistered, or, where the federation says so, removed after a time. That time counts from
 * the change or from the leader's own start, whichever is later: no time passes while nobody could have heard them.
 */

/** How many swarms one tick removes at most, so that its record stays small. */
const MAX_REMOVED_AT_ONCE = 500;

export function observeLiveness(state: RegistryState, seen: LivenessObservation, ctx: Ctx): Decided<'observeLiveness'> {
  onlyServices(ctx.principal, 'report liveness');
  const row = state.swarms.get(seen.name);
  const changed =
    row !== undefined && row.revision === seen.swarmRevision && (row.liveness !== seen.liveness || !row.monitored);
  if (!changed) return { events: [], reply: () => ({ changed: false }) };
  const data: SwarmLivenessChanged = {
    name: seen.name,
    liveness: seen.liveness,
    phi: Math.round(seen.phi * 100) / 100,
    ...(seen.lastHeartbeatAt === 0 ? {} : { lastHeartbeatAt: timestamp(seen.lastHeartbeatAt) }),
  };
  return { events: [{ type: 'swarm.liveness', data }], reply: () => ({ changed: true }) };
}

export function applyLiveness(state: RegistryState, data: SwarmLivenessChanged, at: Stamp): void {
  const row = state.swarms.get(data.name);
  if (!row) return;
  setSwarm(state, {
    ...row,
    liveness: data.liveness,
    livenessSince: row.liveness === data.liveness ? row.livenessSince : at.time,
    // A registration makes a swarm healthy, too, and brings no heartbeat.
    monitored: row.monitored || data.lastHeartbeatAt !== undefined,
    lastHeartbeatAt: data.lastHeartbeatAt === undefined ? row.lastHeartbeatAt : timestampMs(data.lastHeartbeatAt),
  });
}

/** When the first unreachable swarm is to be removed; undefined = none, or never. */
export function nextRemoval(state: RegistryState, epochStart: number): number | undefined {
  const afterMs = removeAfterMs(state);
  const since = afterMs === 0 ? undefined : state.unreachable.peek();
  return since === undefined ? undefined : Math.max(since, epochStart) + afterMs;
}

export function removeUnreachable(state: RegistryState, ctx: Ctx): EventOf<RegistryShape>[] {
  const due = nextRemoval(state, ctx.epochStart);
  if (due === undefined || due > ctx.now) return [];
  return state.unreachable.allDue(ctx.now - removeAfterMs(state), MAX_REMOVED_AT_ONCE).map((name) => ({
    type: 'swarm.removed',
    data: { name, reason: 'REMOVAL_REASON_UNREACHABLE', by: '' },
  }));
}

const removeAfterMs = (state: RegistryState): number => state.federations.get(state.federation)?.removeAfterMs ?? 0;
