import type { Stamp } from '../../../libs/protocol/machine.ts';
import { orderOf, type TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolState } from './state.ts';
import { deleteDeadLetter, putDeadLetter, putDelivery } from './store.ts';

/** A task has failed: it is kept, and owed to the dead-letter stream. */
export function bury(state: PoolState, row: TaskRow, at: Stamp, settings: PoolSettings): void {
  const size = JSON.stringify(row.spec).length;
  deleteDeadLetter(state, row.id);
  putDeadLetter(state, { row, size, order: orderOf(at), replays: [] });
  putDelivery(state, {
    id: `${row.id}.bury`,
    kind: 'bury',
    notBefore: 0,
    task: row.id,
    attempt: 0,
    agent: '',
    instance: '',
  });
  for (const letter of state.deadLetters.values()) {
    const isMuch = state.deadLetters.size > settings.keepDeadLetters || state.deadBytes.value > settings.maxDeadBytes;
    if (!isMuch && letter.row.endedAt + settings.keepDeadMs > at.time) break;
    if (letter.row.id !== row.id) deleteDeadLetter(state, letter.row.id);
  }
}
