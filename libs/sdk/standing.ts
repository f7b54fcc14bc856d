import { HiveError } from '../kernel/errors.ts';
import { BACKGROUND } from '../rpc/observe.ts';
import type { Hive } from './hive.ts';

/** Whether a swarm still is its agents': kept, unregistered, or taken, when its name is another key's by now. */
export type Standing = 'kept' | 'unregistered' | 'taken';

/** What this needs of a connection. */
export type Asked = { readonly registry: Pick<Hive['registry'], 'getSwarm'> };

const ASK_MS = 2000;

/**
 * What an agent's refused token means. A pool may be a moment behind the registry, so nothing follows from its word
 * alone: the registry is asked, with the same token. Kept when in doubt, as when the registry does not answer.
 */
export async function standingOf(hive: Asked, swarm: string, refusal: HiveError): Promise<Standing> {
  if (meaningOf(refusal) === 'kept') return 'kept';
  try {
    await hive.registry.getSwarm({ name: swarm, linearizable: true }, { trace: BACKGROUND, timeoutMs: ASK_MS });
    return 'kept';
  } catch (cause) {
    const error = HiveError.from(cause);
    return error.code === 'NOT_FOUND' ? 'unregistered' : meaningOf(error);
  }
}

function meaningOf({ reason }: HiveError): Standing {
  if (reason === 'SWARM_UNKNOWN') return 'unregistered';
  return reason === 'TOKEN_KEY_UNKNOWN' ? 'taken' : 'kept';
}

export function nameTaken(swarm: string, name: string, cause: HiveError): HiveError {
  const message = `agent ${swarm}/${name} ends: swarm ${swarm} belongs to another key by now (${cause.message})`;
  return new HiveError('PERMISSION_DENIED', message, { cause, reason: 'NAME_TAKEN' });
}
