import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import type { DeadLetter, TaskSpec } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { requireMember, requireRegistration } from './access.ts';
import { taskKey } from './attempt-events.ts';
import { page } from './page.ts';
import type { DeadLetterRow, TaskRow } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolShape, PoolState } from './state.ts';
import { putDeadLetter } from './store.ts';
import { submission } from './task.ts';
import { taskView } from './view.ts';

/**
 * Dead letters: tasks that have failed, whatever ended their attempts, so that somebody can look at them and have them
 * done again. They are kept longer than other ended tasks, in the state, by which they can be listed and replayed;
 * each is also published once to the dead-letter stream, where everything lies that could not be processed. The oldest
 * give way, by number, size and age, when the next one comes.
 */

/** Replays of one letter that are kept with it. */
const MAX_REPLAYS = 16;

export const deadLetterCommands = (settings: PoolSettings): Pick<Machine<PoolShape>['commands'], 'replayTask'> => ({
  replayTask(state, { task: id, id: newId }, ctx) {
    const letter = find(state, id);
    const { spec } = letter.row;
    requireMember(ctx, spec.swarm, 'replay a task');
    requireRegistration(ctx, spec.swarm, letter.row, `replay task ${quote(id)}`);
    const known = newId === '' ? undefined : replayed(state, letter, newId);
    if (known) return { events: [], reply: () => ({ task: taskView(known, state), revision: String(ctx.revision) }) };
    const origin = { parent: '', replayOf: id };
    const { events, reply } = submission(state, { id: newId, spec: alone(spec) }, origin, ctx, settings);
    const [first] = events;
    const replay = first?.type === 'task.submitted' ? first.data.task : '';
    return {
      events: [...events, { type: 'task.replayed', data: { task: id, replay } }],
      reply: () => ({ task: reply().task, revision: String(ctx.revision) }),
    };
  },
});

/** The replay of a letter that has this id already: who names it twice means one. Throws when it is no longer kept. */
function replayed(state: PoolState, { row: { id }, replays }: DeadLetterRow, newId: string): TaskRow | undefined {
  const task = state.tasks.get(newId);
  if (task?.origin?.replayOf === id) return task;
  if (task || !replays.includes(newId)) return undefined;
  throw new HiveError(
    'ALREADY_EXISTS',
    `task ${quote(id)} was replayed as ${quote(newId)}, which ended long ago and is no longer kept; take another id`,
    { reason: 'ID_TAKEN' },
  );
}

/** A replay has no part in its group and waits for nothing that has ended; the yes that it needs it needs again. */
function alone({ ties, ...spec }: TaskSpec): TaskSpec {
  if (!ties?.approval) return spec;
  return { ...spec, ties: { after: [], group: '', phase: '', vote: 0, approval: ties.approval } };
}

export const deadLetterEvents: Pick<Machine<PoolShape>['events'], 'task.replayed'> = {
  'task.replayed': {
    apply(state, { task, replay }) {
      const letter = state.deadLetters.get(task);
      if (!letter) return;
      const replays = [...letter.replays, replay].slice(-MAX_REPLAYS);
      putDeadLetter(state, { ...letter, replays });
    },
    key: (data, state) => {
      const swarm = state.deadLetters.get(data.task)?.row.spec.swarm;
      return swarm === undefined ? taskKey(state, data.task) : `${swarm}.${data.task}`;
    },
  },
};

export const deadLetterQueries: Pick<Machine<PoolShape>['queries'], 'listDeadLetters' | 'getDeadLetter'> = {
  listDeadLetters(state, input, view) {
    const found = [...state.deadLetters.values()].filter(
      ({ row }) => input.swarm === '' || row.spec.swarm === input.swarm,
    );
    const { items: letters, nextPageToken } = page(
      found,
      input,
      (letter) => letter.order,
      (letter) => letterView(letter, state),
    );
    return { letters, nextPageToken, total: found.length, revision: String(view.revision) };
  },

  getDeadLetter: (state, { task }, view) => ({
    letter: letterView(find(state, task), state),
    revision: String(view.revision),
  }),
};

/** What is published to the dead-letter stream for an effect; undefined when it is not owed any more. */
export function burial(state: PoolState, effect: string): DeadLetter | undefined {
  const owed = state.deliveries.get(effect);
  const letter = owed && state.deadLetters.get(owed.task);
  return letter && letterView(letter, state);
}

const letterView = ({ row, replays }: DeadLetterRow, state: PoolState): DeadLetter => ({
  task: taskView(row, state),
  replays: [...replays],
});

function find(state: PoolState, id: string): DeadLetterRow {
  const letter = state.deadLetters.get(id);
  if (letter) return letter;
  const now = state.tasks.get(id)?.state;
  const hint = now ? `the task is ${now}` : 'it never was, or it failed long ago and is no longer kept';
  throw notFound('dead letter', id, hint);
}
