import type { Perform } from '../../libs/journal/effects.ts';
import type { Journal } from '../../libs/journal/journal.ts';
import type { DeadLetter } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { AgentLine } from './agent-line.ts';
import { burial } from './core/dead-letter.ts';
import { deliveryMessage } from './core/delivery.ts';
import type { PoolShape } from './core/state.ts';
import { internalCall } from './internal-call.ts';

export interface DeliverDeps {
  readonly journal: () => Journal<PoolShape>;
  readonly line: AgentLine;
  /** Publishes a dead letter; `id` is the same at each repeat. */
  readonly publishLetter: (letter: DeadLetter, id: string) => Promise<void>;
  /** The instance's connection seems to be closed: finds out, and tells the pool. */
  readonly lostConnection: (agent: string, instance: string) => void;
}

/** How long an agent may take to say that it has received something, in milliseconds; then it is sent again. */
const ANSWER_MS = 1000;
/** An agent that has received an assignment is left in peace so long, in milliseconds, to confirm it. */
const CONFIRM_PATIENCE_MS = 2000;

/**
 * Sends agents what they are owed. An assignment stays owed until it is confirmed, so it is sent again if that does not
 * come; a cancel until the agent has received it. The state may be ahead of the journal here, but what is sent of a
 * task never changes, and an effect that was taken away meanwhile is not sent.
 */
export function deliverer({ journal, line, lostConnection, publishLetter }: DeliverDeps): Perform {
  const settle = (effect: string, signal: AbortSignal) =>
    journal().execute('settleDelivery', { effect }, internalCall(journal().federation, 'delivery', signal));
  return async (effect, fence) => {
    const { epoch } = fence;
    const { state } = journal();
    const row = state.deliveries.get(effect.id);
    if (row?.kind === 'bury') {
      const letter = burial(state, effect.id);
      if (letter) await publishLetter(letter, effect.id);
      if (!fence.isOver) await settle(effect.id, fence.signal);
      return undefined;
    }
    const message = deliveryMessage(state, effect.id, epoch);
    if (!row || !message) return undefined;
    const heard = await line.send(message, effect.id, ANSWER_MS, () => fence.isOver);
    if (fence.isOver || heard === 'silent') return undefined;
    if (heard === 'nobody') {
      lostConnection(row.agent, row.instance); // not waited for: an agent may have seconds to come back
      return undefined;
    }
    if (row.kind === 'assign') return CONFIRM_PATIENCE_MS;
    await settle(row.id, fence.signal);
    return undefined;
  };
}
