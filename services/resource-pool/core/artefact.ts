import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import type { Artefact } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { findAttempt, stale } from './attempt-commands.ts';
import { taskKey } from './attempt-events.ts';
import { currentAttempt } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolShape, PoolState } from './state.ts';
import { putArtefacts } from './store.ts';

/**
 * Artefacts: what an attempt has stored in the federation's object store. The journal keeps what each is, with the digest
 * of its content; the content itself lies outside, and is worth nothing without its row. So content first, row then; and
 * content without a row is swept away. They are the attempt's: of one that is tried again nothing is left.
 */

/** Of one attempt. */
const MAX_ARTEFACTS = 32;

type Commands = Pick<Machine<PoolShape>['commands'], 'putArtefactPart' | 'addArtefact'>;

export const artefactCommands = (settings: PoolSettings): Commands => ({
  /** Says only whether the attempt may store anything: its content goes by no journal. */
  putArtefactPart(state, input, ctx) {
    const { task, attempt } = findAttempt(state, input, ctx, 'store an artefact');
    if (currentAttempt(task) !== attempt || task.state !== 'TASK_STATE_RUNNING') throw stale(task, input);
    const known = itemsOf(state, task.id).find(({ name }) => name === input.name);
    if (known) throw exists(input.name);
    requireRoom(state, settings, 0);
    return { events: [], reply: () => ({}) };
  },

  addArtefact(state, input, ctx) {
    const { task, attempt } = findAttempt(state, input, ctx, 'store an artefact');
    if (currentAttempt(task) !== attempt || task.state !== 'TASK_STATE_RUNNING') throw stale(task, input);
    const artefact = { ...(input.artefact as Artefact), attempt: attempt.number, storedAt: undefined };
    const reply = () => ({ revision: String(ctx.revision) });
    const items = itemsOf(state, task.id);
    const known = items.find(({ name }) => name === artefact.name);
    if (known && known.digest !== artefact.digest) throw exists(artefact.name);
    if (known) return { events: [], reply };
    if (items.length >= MAX_ARTEFACTS) throw tooMany(task.id);
    requireRoom(state, settings, artefact.bytes);
    return { events: [{ type: 'artefact.added', data: { task: task.id, artefact } }], reply };
  },
});

export const artefactEvents: Pick<Machine<PoolShape>['events'], 'artefact.added'> = {
  'artefact.added': {
    apply(state, { task, artefact }, at) {
      if (!artefact || !state.tasks.has(task)) return;
      const item = { ...artefact, storedAt: new Date(at.time).toISOString() };
      putArtefacts(state, task, [...itemsOf(state, task), item]);
    },
    key: (data, state) => taskKey(state, data.task),
  },
};

export const artefactQueries: Pick<Machine<PoolShape>['queries'], 'artefact'> = {
  artefact(state, { task, name }) {
    const found = itemsOf(state, task).find((item) => item.name === name);
    if (found) return found;
    if (!state.tasks.has(task))
      throw notFound('task', task, 'it never was, or it ended long ago and is no longer kept');
    const names = itemsOf(state, task).map((item) => item.name);
    throw notFound('artefact', name, names.length > 0 ? `the task has ${names.join(', ')}` : 'the task has none');
  },
};

const itemsOf = (state: PoolState, task: string): readonly Artefact[] => state.artefacts.get(task)?.items ?? [];

function requireRoom(state: PoolState, { maxArtefactBytes }: PoolSettings, bytes: number): void {
  if (state.artefactBytes.value + bytes <= maxArtefactBytes) return;
  const message = `the artefacts of all tasks would have more than ${maxArtefactBytes} bytes, which is the limit; store it later`;
  throw new HiveError('RESOURCE_EXHAUSTED', message, { retryable: true, retryAfterMs: 5000, reason: 'ARTEFACTS_FULL' });
}

const exists = (name: string): HiveError =>
  new HiveError('ALREADY_EXISTS', `the attempt has stored another artefact ${quote(name)}; choose another name`, {
    reason: 'OTHER_CONTENT',
  });

const tooMany = (task: string): HiveError =>
  new HiveError('RESOURCE_EXHAUSTED', `task ${quote(task)} has ${MAX_ARTEFACTS} artefacts, which is the limit`, {
    reason: 'TOO_MANY_ARTEFACTS',
  });
