import type { Hive } from '../libs/sdk/hive.ts';
import type { Group } from '../libs/wire/hivebus/pool/v1/group.ts';
import type {
  Agent,
  AgentRequest,
  Lease,
  ListAgentRequestsRequest,
  ListAgentsRequest,
  ListGroupsRequest,
  ListLeasesRequest,
  ListTasksRequest,
  Task,
  TaskState,
} from '../libs/wire/hivebus/pool/v1/pool.ts';
import type {
  Cluster,
  DeclaredAgent,
  ListClustersRequest,
  ListDeclaredAgentsRequest,
  ListSwarmsRequest,
  Swarm,
} from '../libs/wire/hivebus/registry/v1/registry.ts';

/** Whole lists, page by page. */

const PAGE = 500;

export async function allSwarms(hive: Hive, filter: Partial<ListSwarmsRequest> = {}): Promise<Swarm[]> {
  return pages(async (pageToken) => {
    const page = await hive.registry.listSwarms({ ...filter, pageSize: PAGE, pageToken });
    return { items: page.swarms, next: page.nextPageToken };
  });
}

export async function allAgents(hive: Hive, filter: Partial<ListAgentsRequest> = {}): Promise<Agent[]> {
  return pages(async (pageToken) => {
    const page = await hive.pool.listAgents({ ...filter, pageSize: PAGE, pageToken });
    return { items: page.agents, next: page.nextPageToken };
  });
}

export async function allLeases(hive: Hive, filter: Partial<ListLeasesRequest> = {}): Promise<Lease[]> {
  return pages(async (pageToken) => {
    const page = await hive.pool.listLeases({ ...filter, pageSize: PAGE, pageToken });
    return { items: page.leases, next: page.nextPageToken };
  });
}

export async function allRequests(hive: Hive, filter: Partial<ListAgentRequestsRequest> = {}): Promise<AgentRequest[]> {
  return pages(async (pageToken) => {
    const page = await hive.pool.listAgentRequests({ ...filter, pageSize: PAGE, pageToken });
    return { items: page.requests, next: page.nextPageToken };
  });
}

export async function allClusters(hive: Hive, filter: Partial<ListClustersRequest> = {}): Promise<Cluster[]> {
  return pages(async (pageToken) => {
    const page = await hive.registry.listClusters({ ...filter, pageSize: PAGE, pageToken });
    return { items: page.clusters, next: page.nextPageToken };
  });
}

export async function allDeclaredAgents(
  hive: Hive,
  filter: Partial<ListDeclaredAgentsRequest> = {},
): Promise<DeclaredAgent[]> {
  return pages(async (pageToken) => {
    const page = await hive.registry.listDeclaredAgents({ ...filter, pageSize: PAGE, pageToken });
    return { items: page.agents, next: page.nextPageToken };
  });
}

export async function allTasks(hive: Hive, filter: Partial<ListTasksRequest>): Promise<Task[]> {
  return pages(async (pageToken) => {
    const page = await hive.pool.listTasks({ ...filter, pageSize: PAGE, pageToken });
    return { items: page.tasks, next: page.nextPageToken };
  });
}

export async function allGroups(hive: Hive, filter: Partial<ListGroupsRequest>): Promise<Group[]> {
  return pages(async (pageToken) => {
    const page = await hive.pool.listGroups({ ...filter, pageSize: PAGE, pageToken });
    return { items: page.groups, next: page.nextPageToken };
  });
}

export const TASK_STATES = [
  'TASK_STATE_BLOCKED',
  'TASK_STATE_QUEUED',
  'TASK_STATE_ASSIGNED',
  'TASK_STATE_RUNNING',
  'TASK_STATE_SUCCEEDED',
  'TASK_STATE_FAILED',
  'TASK_STATE_CANCELLED',
] as const satisfies readonly TaskState[];

/** Those that have not ended. */
export const openTasks = (hive: Hive): Promise<Task[]> =>
  allTasks(hive, { states: ['TASK_STATE_BLOCKED', 'TASK_STATE_QUEUED', 'TASK_STATE_ASSIGNED', 'TASK_STATE_RUNNING'] });

/** What is kept of each swarm by itself, or of one: some at a time, since there may be many. */
export async function ofEachSwarm<T>(
  hive: Hive,
  swarm: string | undefined,
  ask: (swarm: string) => Promise<T>,
): Promise<T[]> {
  const names = swarm === undefined ? (await allSwarms(hive)).map(({ name }) => name) : [swarm];
  const all: T[] = [];
  for (let i = 0; i < names.length; i += AT_ONCE) {
    all.push(...(await Promise.all(names.slice(i, i + AT_ONCE).map(ask))));
  }
  return all;
}

const AT_ONCE = 32;

/** How many tasks are in each state. */
export async function taskCounts(hive: Hive): Promise<Record<(typeof TASK_STATES)[number], number>> {
  const totals = await Promise.all(
    TASK_STATES.map(async (state) => [state, (await hive.pool.listTasks({ states: [state], pageSize: 1 })).total]),
  );
  return Object.fromEntries(totals);
}

async function pages<T>(ask: (pageToken: string) => Promise<{ items: T[]; next: string }>): Promise<T[]> {
  const all: T[] = [];
  let token = '';
  do {
    const { items, next } = await ask(token);
    all.push(...items);
    token = next;
  } while (token !== '');
  return all;
}
