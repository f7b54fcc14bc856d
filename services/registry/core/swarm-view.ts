import { timestamp } from '../../../libs/kernel/timestamps.ts';
import type { Swarm } from '../../../libs/wire/hivebus/registry/v1/registry.ts';
import { healthOf } from './health.ts';
import type { SwarmRow } from './rows.ts';
import type { RegistrySoft } from './state.ts';

/** A swarm as it is answered: its row and what this replica has heard of it. */
export function viewOf(row: SwarmRow, soft: RegistrySoft): Swarm {
  const heard = soft.heard(row.name);
  const lastHeartbeatAt = heard?.at ?? row.lastHeartbeatAt;
  return {
    name: row.name,
    project: row.project,
    queenEndpoint: row.queenEndpoint,
    region: row.region,
    tags: [...row.tags],
    capabilities: [...row.capabilities],
    publicKey: row.publicKey,
    revision: String(row.revision),
    registeredAt: timestamp(row.registeredAt),
    updatedAt: timestamp(row.updatedAt),
    liveness: row.liveness,
    livenessSince: timestamp(row.livenessSince),
    health: healthOf({ row, heard }),
    phi: heard?.phi ?? 0,
    lastHeartbeatAt: lastHeartbeatAt === 0 ? undefined : timestamp(lastHeartbeatAt),
    monitored: row.monitored,
    load: heard?.load,
  };
}
