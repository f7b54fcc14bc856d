import { notFound } from '../../../libs/kernel/errors.ts';
import type { Machine } from '../../../libs/protocol/machine.ts';
import type { Task } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { artefactQueries } from './artefact.ts';
import { checkpointQueries } from './checkpoint.ts';
import { deadLetterQueries } from './dead-letter.ts';
import { known } from './group.ts';
import type { GroupRow } from './group-rows.ts';
import { groupView } from './group-view.ts';
import { lendingOf } from './lending-policy.ts';
import { limitsOf } from './limits.ts';
import { page } from './page.ts';
import { policyOf } from './policy.ts';
import { planRebalance } from './rebalancing.ts';
import { type AgentRow, agentKey, type LeaseRow, type MigrationRow, type TaskRow } from './rows.ts';
import type { PoolShape } from './state.ts';
import { agentView, leaseView, migrationView, requestView, taskView } from './view.ts';

export const queries: Omit<Machine<PoolShape>['queries'], 'explain'> = {
  getAgent(state, input, view) {
    const key = agentKey(input.swarm, input.name);
    const row = state.agents.get(key);
    if (!row) throw notFound('agent', key);
    return { agent: agentView(row, state), revision: String(view.revision) };
  },

  listAgents(state, input, view) {
    const found = filter(state.agents.values(), (row) => agentMatches(row, input));
    found.sort((a, b) => (a.key < b.key ? -1 : 1));
    const { items: agents, nextPageToken } = page(
      found,
      input,
      (row) => row.key,
      (row) => agentView(row, state),
    );
    return { agents, nextPageToken, total: found.length, revision: String(view.revision) };
  },

  listLeases(state, input, view) {
    const found = filter(state.leases.values(), (row) => leaseMatches(row, input));
    const { items: leases, nextPageToken } = page(
      found,
      input,
      (row) => row.order,
      (row) => leaseView(row, view.epochStart),
    );
    return { leases, nextPageToken, total: found.length, revision: String(view.revision) };
  },

  getTask(state, input, view) {
    const row = state.tasks.get(input.id);
    if (!row) throw notFound('task', input.id, 'it never was, or it ended long ago and is no longer kept');
    return { task: taskView(row, state), revision: String(view.revision) };
  },

  listTasks(state, input, view) {
    const found = filter(state.tasks.values(), (row) => taskMatches(row, input));
    const { items: tasks, nextPageToken } = page(
      found,
      input,
      (row) => row.order,
      (row) => taskView(row, state),
    );
    return { tasks, nextPageToken, total: found.length, revision: String(view.revision) };
  },

  planRebalance,
  listMigrations(state, input, view) {
    const { swarm, includeEnded } = input;
    const isMeant = (row: MigrationRow) =>
      (includeEnded || row.endedAt === 0) && (swarm === '' || row.from === swarm || row.to === swarm);
    const found = filter(state.migrations.values(), isMeant).sort((a, b) => a.order - b.order);
    const { items: migrations, nextPageToken } = page(found, input, (row) => row.order, migrationView);
    return { migrations, nextPageToken, total: found.length, revision: String(view.revision) };
  },

  getGroup: (state, { id }, view) => ({ group: groupView(known(state, id), state), revision: String(view.revision) }),

  listGroups(state, input, view) {
    const found = filter(state.groups.values(), (row) => groupMatches(row, input));
    const { items: groups, nextPageToken } = page(
      found,
      input,
      (row) => row.order,
      (row) => groupView(row, state),
    );
    return { groups, nextPageToken, total: found.length, revision: String(view.revision) };
  },

  listAgentRequests(state, input, view) {
    const found = filter(state.requests.values(), (row) => input.swarm === '' || row.wish.swarm === input.swarm);
    const { items: requests, nextPageToken } = page(
      found,
      input,
      (row) => row.order,
      (row) => requestView(row),
    );
    return { requests, nextPageToken, total: found.length, revision: String(view.revision) };
  },

  grantedLease(state, { lease }, view) {
    const row = state.leases.get(lease);
    if (!row) throw notFound('lease', lease, 'it ended long ago and is no longer kept');
    return { lease: leaseView(row, 0), request: '', revision: String(view.revision) };
  },

  ...checkpointQueries,
  ...deadLetterQueries,
  ...artefactQueries,
  getLendingPolicy: (state, { swarm }, view) => ({
    policy: lendingOf(state, swarm),
    lent: state.usage.lent.of(swarm),
    revision: String(view.revision),
  }),

  getSwarmLimits(state, { swarm }, view) {
    const { running, queued, leases, requests } = state.usage;
    const usage = {
      running: running.of(swarm),
      queued: queued.of(swarm),
      leases: leases.of(swarm),
      requests: requests.of(swarm),
    };
    return { limits: limitsOf(state, swarm), usage, revision: String(view.revision) };
  },

  getPolicy: (state, _input, view) => ({ policy: policyOf(state), revision: String(view.revision) }),

  logKeys(state, { id }) {
    const confirmed = (state.tasks.get(id)?.attempts ?? []).filter(({ startedAt }) => startedAt > 0);
    return { keys: confirmed.map(({ number, logKey = '' }) => [number, logKey]) };
  },

  tasksById(state, { ids, swarm, states }) {
    const changed: Task[] = [];
    const removed: string[] = [];
    for (const id of ids) {
      const row = state.tasks.get(id);
      if (!row) removed.push(id);
      else if ((swarm === '' || row.spec.swarm === swarm) && (states.length === 0 || states.includes(row.state))) {
        changed.push(taskView(row, state));
      }
    }
    return { changed, removed };
  },
};

type Input<Q extends keyof PoolShape['queries']> = PoolShape['queries'][Q]['input'];

const agentMatches = (row: AgentRow, { swarm, type, states }: Input<'listAgents'>): boolean =>
  (swarm === '' || row.home === swarm) &&
  (type === '' || row.type === type) &&
  (states.length === 0 || states.includes(row.state));

const leaseMatches = (row: LeaseRow, { swarm, includeEnded }: Input<'listLeases'>): boolean =>
  (includeEnded || row.endedAt === 0) && (swarm === '' || row.borrower === swarm || row.lender === swarm);

const groupMatches = (row: GroupRow, { swarm, states }: Input<'listGroups'>): boolean =>
  (swarm === '' || row.spec.swarm === swarm) && (states.length === 0 || states.includes(row.state));

const taskMatches = (row: TaskRow, { swarm, states, labels, group }: Input<'listTasks'>): boolean =>
  (group === '' || row.spec.ties?.group === group) &&
  (swarm === '' || row.spec.swarm === swarm) &&
  (states.length === 0 || states.includes(row.state)) &&
  Object.entries(labels).every(([key, value]) => row.spec.labels[key] === value);

function filter<Row>(rows: Iterable<Row>, accepts: (row: Row) => boolean): Row[] {
  const found: Row[] = [];
  for (const row of rows) if (accepts(row)) found.push(row);
  return found;
}
