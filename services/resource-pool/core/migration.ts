import { formatDuration } from '../../../libs/kernel/durations.ts';
import { HiveError, notFound, quote } from '../../../libs/kernel/errors.ts';
import type { Ctx, Machine } from '../../../libs/protocol/machine.ts';
import { describePrincipal } from '../../../libs/protocol/principal.ts';
import type { Agent, MigrateAgentRequest } from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { keyOfSwarm, registrationOf, requireSwarm } from './access.ts';
import { offerOf, rowOf } from './agent-rows.ts';
import { replaced } from './delivery.ts';
import { Plan } from './dispatch.ts';
import { drain, resume } from './draining.ts';
import { settled } from './lease.ts';
import { lendingOf } from './lending-policy.ts';
import { nextState } from './migration-states.ts';
import { type AgentRow, agentKey, type MigrationRow, orderOf, registered } from './rows.ts';
import type { PoolSettings } from './settings.ts';
import type { PoolEvent, PoolShape, PoolSoft, PoolState } from './state.ts';
import { deleteAgent, deleteMigration, putAgent, putMeasure, putMigration } from './store.ts';
import { migrationView } from './view.ts';
import { agentWith } from './whole-rows.ts';

/**
 * An agent's move to another swarm. Both swarms' owners agree (an operator speaks for both); the agent is drained as any
 * other that is taken out of service (draining.ts); then it registers in the other swarm, and the same record takes it
 * out of the one that it left: it is never in both, nor in none. What an agent may do rests on its swarm's key, and keys
 * do not travel by Hivebus: who does not have the other swarm's key cannot move there, says so, and stays.
 *
 * Everything is in the state. A pool that goes on after a crash knows how far each move is; an agent that was started
 * anew is told again; one that does not come in time stays where it was.
 */
export const migrationCommands = (
  settings: PoolSettings,
): Pick<Machine<PoolShape>['commands'], 'migrateAgent' | 'cancelMigration'> => ({
  migrateAgent(state, input, ctx) {
    const key = agentKey(input.swarm, input.name);
    const row = state.agents.get(key);
    const name = input.newName || input.name;
    const done = state.migrations.get(row ? '' : (state.moving.goneBy(key) ?? ''));
    if (done?.to === input.to && done.name === name) return { events: [], reply: () => answer(state, done.id, ctx) };
    if (!row) throw notFound('agent', key);
    requireSwarm(ctx, [row.home, input.to], 'move an agent to another swarm');
    keyOfSwarm(ctx, input.to);
    const open = state.migrations.get(state.moving.of(key) ?? '');
    if (open && (open.to !== input.to || open.name !== name)) throw otherMove(open);
    const consent = consentOf(state, row, input, open, ctx);
    if (open && open.given === consent.given && open.taken === consent.taken) {
      return { events: [], reply: () => answer(state, open.id, ctx) };
    }
    if (state.agents.has(agentKey(input.to, name))) throw nameTaken(input.to, name);
    const migration = open?.id ?? ctx.id('migration');
    const isGiver = ctx.principal.kind === 'operator' || consent.given !== open?.given;
    const data = {
      ...{ migration, agent: key, to: input.to, name, ...consent },
      graceMs: open && !isGiver ? open.graceMs : input.graceMs,
      reason: input.reason || (open?.reason ?? ''),
      by: describePrincipal(ctx.principal),
      registration: registrationOf(ctx, input.to),
      ...{ traceparent: ctx.trace.traceparent, correlationId: ctx.trace.correlationId },
    };
    const proposed: PoolEvent = { type: 'migration.proposed', data };
    const plan = new Plan(state);
    const follows =
      consent.given && consent.taken ? [...begin(state, row, data, plan, settings), ...settled(state, plan)] : [];
    return { events: [proposed, ...follows], reply: () => answer(state, migration, ctx) };
  },

  cancelMigration(state, { id, reason }, ctx) {
    const row = state.migrations.get(id);
    if (!row) throw notFound('migration', id, 'it never was, or it ended long ago and is no longer kept');
    const isItself = ctx.principal.kind === 'agent' && agentKey(ctx.principal.swarm, ctx.principal.name) === row.agent;
    if (!isItself || ctx.principal.key !== state.agents.get(row.agent)?.ownerKey) {
      requireSwarm(ctx, [row.from, row.to], 'cancel a migration');
    }
    const reply = () => answer(state, id, ctx);
    if (row.state === 'MIGRATION_STATE_CANCELLED') return { events: [], reply };
    if (row.endedAt > 0) throw over(row);
    const plan = new Plan(state);
    const why = `cancelled by ${describePrincipal(ctx.principal)}${reason === '' ? '' : `: ${reason}`}`;
    return { events: [...stay(row, why, plan), ...settled(state, plan)], reply };
  },
});

type Events = Pick<
  Machine<PoolShape>['events'],
  | 'migration.proposed'
  | 'migration.draining'
  | 'migration.transferring'
  | 'migration.cancelled'
  | 'migration.forgotten'
  | 'agent.migrated'
>;

export const migrationEvents = (settings: PoolSettings): Events => ({
  'migration.proposed': {
    apply(state, data, at) {
      const before = state.migrations.get(data.migration);
      const to = nextState(before?.state ?? 'MIGRATION_STATE_UNSPECIFIED', 'propose');
      if (!to) return;
      const { migration: id, agent, graceMs, reason, given, taken, name, traceparent, correlationId } = data;
      const since = before?.since ?? at.time;
      const row: MigrationRow = {
        ...{ id, agent, from: homeOf(agent), to: data.to, name, state: to, graceMs, reason, given, taken },
        ...{
          by: before?.by ?? data.by,
          startedAt: since,
          since,
          endedAt: 0,
          traceparent,
          correlationId,
          ...registered(data),
        },
        ...{ order: before?.order ?? orderOf(at), revision: at.revision },
      };
      putMigration(state, row, settings);
    },
    key: (data) => data.agent.replace('/', '.'),
  },

  'migration.draining': {
    apply: (state, data, at) => step(state, data.migration, 'agree', at, settings),
    key: (data, state) => migrationKey(state, data.migration),
  },

  'migration.transferring': {
    apply: (state, data, at) => step(state, data.migration, 'drained', at, settings),
    key: (data, state) => migrationKey(state, data.migration),
  },

  'migration.cancelled': {
    apply: (state, data, at) => step(state, data.migration, 'cancel', at, settings, { reason: data.reason }),
    key: (data, state) => migrationKey(state, data.migration),
  },

  'migration.forgotten': {
    apply(state, data) {
      for (const id of data.migrations) deleteMigration(state, id);
    },
    key: () => '',
  },

  'agent.migrated': {
    apply(state, data, at) {
      const row = rowOf(data.agent as Agent, data.ownerKey, data.registration, undefined);
      const measure = state.measures.get(data.from);
      putAgent(state, agentWith(row, { stateSince: at.time, revision: at.revision }), settings);
      deleteAgent(state, data.from);
      if (measure) putMeasure(state, row, measure);
      step(state, data.migration, 'arrive', at, settings);
    },
    key: (data) => `${data.agent?.swarm}.${data.agent?.name}`,
  },
});

/**
 * What follows from a registration that names a migration: the agent is the other swarm's from then on, and gone where it
 * was. Undefined when it has come already: then it is a registration like any other.
 */
export function arrive(
  state: PoolState,
  migration: string,
  row: AgentRow,
  ctx: Ctx<PoolSoft>,
): readonly PoolEvent[] | undefined {
  const move = state.migrations.get(migration);
  if (!move) throw notFound('migration', migration, 'it never was, or it ended long ago and is no longer kept');
  if (row.home !== move.to || row.name !== move.name) throw elsewhere(move, row);
  if (move.state === 'MIGRATION_STATE_ACTIVE') return undefined;
  const before = state.agents.get(move.agent);
  if (move.state !== 'MIGRATION_STATE_TRANSFERRING' || !before) throw over(move);
  if (before.instance !== row.instance) throw replaced(move.agent, before.instance, row.instance);
  if (move.registration !== registrationOf(ctx, move.to)) throw otherOwner(move);
  if (state.agents.has(row.key)) throw nameTaken(row.home, row.name);
  const plan = new Plan(state);
  plan.remove(before.key);
  plan.changeRow(row);
  const { ownerKey, registration = '' } = row;
  const data = { migration, from: before.key, agent: offerOf(row), ownerKey, registration };
  return [{ type: 'agent.migrated', data }, ...settled(state, plan)];
}

/** Refuses the name of an agent that has moved, as long as it is there: one that was started anew must not split. */
export function refuseMoved(state: PoolState, key: string): void {
  const move = state.migrations.get(state.moving.goneBy(key) ?? '');
  const now = move && agentKey(move.to, move.name);
  if (!now || !state.agents.has(now)) return;
  const message =
    `agent ${quote(key)} has moved to swarm ${quote(move.to)} and is ${quote(now)} there; register it there, ` +
    'choose another name, or deregister that one first';
  throw new HiveError('FAILED_PRECONDITION', message, { retryable: false, reason: 'MIGRATED' });
}

/** A migration's time is over. */
export function lateMigration(row: MigrationRow, plan: Plan, settings: PoolSettings): readonly PoolEvent[] {
  const reason =
    row.state === 'MIGRATION_STATE_PROPOSED'
      ? `swarm ${row.given ? row.to : row.from} did not agree within ${formatDuration(settings.proposalMs)}`
      : `the agent did not register in swarm ${row.to} within ${formatDuration(settings.transferMs)}`;
  return stay(row, reason, plan);
}

/** Begins a move that both swarms have agreed to. */
export function begin(
  state: PoolState,
  row: AgentRow,
  { migration, to, graceMs }: { migration: string; to: string; graceMs: number },
  plan: Plan,
  settings: PoolSettings,
): readonly PoolEvent[] {
  const reason = `it moves to swarm ${to}`;
  const draining = drain(state, row, { graceMs, reason, migration, to }, plan, settings);
  return [{ type: 'migration.draining', data: { migration } }, ...draining];
}

/** Ends a move: the agent works again where it is. */
function stay(row: MigrationRow, reason: string, plan: Plan): readonly PoolEvent[] {
  const agent = plan.spot(row.agent)?.row;
  const isHeld = agent?.lameDuck?.migration === row.id;
  return [
    { type: 'migration.cancelled', data: { migration: row.id, reason } },
    ...(agent && isHeld ? resume(agent, plan) : []),
  ];
}

function step(
  state: PoolState,
  id: string,
  how: Parameters<typeof nextState>[1],
  at: { readonly time: number; readonly revision: number },
  settings: PoolSettings,
  change: Partial<MigrationRow> = {},
): void {
  const row = state.migrations.get(id);
  const to = row && nextState(row.state, how);
  if (!to) return;
  const isOver = to === 'MIGRATION_STATE_ACTIVE' || to === 'MIGRATION_STATE_CANCELLED';
  const endedAt = isOver ? at.time : 0;
  putMigration(state, { ...row, state: to, since: at.time, endedAt, revision: at.revision, ...change }, settings);
}

interface Consent {
  readonly given: boolean;
  readonly taken: boolean;
}

/** Who has agreed, with who asks now. What a swarm says that it lends binds who is not its owner. */
function consentOf(
  state: PoolState,
  row: AgentRow,
  { to }: MigrateAgentRequest,
  open: MigrationRow | undefined,
  { principal }: Ctx,
): Consent {
  const isOperator = principal.kind === 'operator';
  const given = principal.kind === 'swarm' && principal.swarm === row.home;
  const policy = lendingOf(state, row.home);
  const isLent = !policy.closed && (policy.to.length === 0 || policy.to.includes(to));
  if (isOperator && !open?.given && !isLent) throw keeps(row.home, to, policy.version);
  return {
    given: given || isOperator || open?.given === true,
    taken: (principal.kind === 'swarm' && principal.swarm === to) || isOperator || open?.taken === true,
  };
}

const homeOf = (agent: string): string => agent.slice(0, agent.indexOf('/'));

const migrationKey = (state: PoolState, id: string): string =>
  state.migrations.get(id)?.agent.replace('/', '.') ?? `unknown.${id}`;

function answer(state: PoolState, id: string, ctx: Ctx) {
  const row = state.migrations.get(id);
  return { migration: row && migrationView(row), revision: String(ctx.revision) };
}

const short = (row: MigrationRow): string => row.state.slice('MIGRATION_STATE_'.length).toLowerCase();

const refused = (message: string, reason: string): HiveError =>
  new HiveError('FAILED_PRECONDITION', message, { retryable: false, reason });

const otherMove = (open: MigrationRow): HiveError =>
  refused(
    `agent ${quote(open.agent)} moves to ${quote(agentKey(open.to, open.name))} already (${quote(open.id)}, ` +
      `${short(open)}); cancel that first`,
    'OTHER_MIGRATION',
  );

const nameTaken = (swarm: string, name: string): HiveError =>
  new HiveError('ALREADY_EXISTS', `swarm ${quote(swarm)} has an agent ${quote(name)} already; give newName`, {
    reason: 'NAME_TAKEN',
  });

const keeps = (home: string, to: string, version: string): HiveError =>
  refused(
    `swarm ${quote(home)} lends nothing to swarm ${quote(to)}, by version ${version} of its lending policy; its own key ` +
      'may give an agent away nevertheless',
    'NOT_LENT',
  );

const over = (row: MigrationRow): HiveError =>
  refused(
    `migration ${quote(row.id)} of agent ${quote(row.agent)} is ${short(row)}` +
      `${row.endedAt > 0 && row.reason !== '' ? `: ${row.reason}` : ''}; only one that is transferring brings an agent`,
    'MIGRATION_NOT_DUE',
  );

const elsewhere = (move: MigrationRow, row: AgentRow): HiveError =>
  refused(
    `migration ${quote(move.id)} leads to agent ${quote(agentKey(move.to, move.name))}, not ${quote(row.key)}`,
    'OTHER_MIGRATION',
  );

const otherOwner = (move: MigrationRow): HiveError =>
  refused(
    `swarm ${quote(move.to)} was registered anew since it agreed to migration ${quote(move.id)}: ask for it again`,
    'OTHER_REGISTRATION',
  );
