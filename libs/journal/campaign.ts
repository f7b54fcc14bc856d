import type { Clock } from '../kernel/clock.ts';
import type { HiveError } from '../kernel/errors.ts';
import { randomId } from '../kernel/ids.ts';
import type { Shape } from '../protocol/machine.ts';
import type { Envelope, Log } from './ports.ts';
import { encodeEpoch } from './record.ts';
import type { Replica } from './replica.ts';

export interface CampaignDeps {
  readonly log: Log;
  readonly clock: Clock;
  readonly incarnation: string;
}

/** won: the epoch's record stands and the replica has taken it; lost: somebody else wrote; obstacle: nobody could. */
export type Campaign = { readonly won: Envelope } | { readonly lost: true } | { readonly obstacle: HiveError };

/** Tries to begin the next epoch, with a record that expects everything that this replica has taken. */
export async function campaign<M extends Shape>(deps: CampaignDeps, replica: Replica<M>): Promise<Campaign> {
  const { log, clock, incarnation } = deps;
  const writer = randomId();
  const envelope: Envelope = { id: `${writer}.0`, kind: 'epoch', epoch: replica.epoch.epoch + 1, writer };
  const body = encodeEpoch(Math.max(replica.time, clock.now()), incarnation);
  const seq = replica.seq + 1;
  const appended = await log.append(replica.seq, envelope, body, '');
  if (appended.outcome === 'refused') return { lost: true };
  if (appended.outcome === 'unknown') {
    const entry = await log.entryAt(seq);
    // Not there: no barrier is needed, since the next campaign has another writer and expects the same sequence.
    if (!entry) return { obstacle: appended.error };
    if (entry.envelope?.id !== envelope.id) return { lost: true };
  }
  replica.take({ seq, envelope, body: Buffer.from(body) });
  return { won: envelope };
}
