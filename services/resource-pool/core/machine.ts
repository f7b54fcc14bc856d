import type { Machine } from '../../../libs/protocol/machine.ts';
import { agentCommands, agentEvents } from './agent.ts';
import { artefactCommands, artefactEvents } from './artefact.ts';
import { attemptCommands } from './attempt-commands.ts';
import { attemptEvents } from './attempt-events.ts';
import { budgetEvents } from './budget.ts';
import { checkpointCommands, checkpointEvents } from './checkpoint.ts';
import { deadLetterCommands, deadLetterEvents } from './dead-letter.ts';
import { deliveryCommands, deliveryEvents } from './delivery.ts';
import { drainingCommands, drainingEvents } from './draining.ts';
import { explain } from './explain.ts';
import { groupCommands } from './group.ts';
import { groupEvents } from './group-events.ts';
import { leaseCommands, leaseEvents } from './lease.ts';
import { lendingCommands, lendingEvents } from './lending-policy.ts';
import { limitsCommands, limitsEvents } from './limits.ts';
import { migrationCommands, migrationEvents } from './migration.ts';
import { policyCommands, policyEvents } from './policy.ts';
import { queries } from './queries.ts';
import { balanceDue, look, rebalanceCommands, rebalanceEvents } from './rebalancing.ts';
import { requestCommands, requestEvents } from './request.ts';
import { retireCommands } from './retire.ts';
import type { PoolSettings } from './settings.ts';
import { emptyState, type PoolShape } from './state.ts';
import { stealingEvents } from './stealing.ts';
import { rebuild } from './store.ts';
import { taskCommands, taskEvents } from './task.ts';
import { nextDue, tick } from './timers.ts';

/** The resource pool of one federation, as a pure machine. */
export const createPoolMachine = (settings: PoolSettings): Machine<PoolShape> => ({
  service: 'pool',
  newWork: new Set(['submitTask', 'submitGroup', 'replayTask', 'requestAgent']),
  init: () => emptyState(settings),
  tables: ({ agents, leases, tasks, groups, deliveries, requests, ...more }) => ({
    ...{ agents, leases, tasks, groups, deliveries, requests },
    ...{ measures: more.measures, norms: more.norms, shares: more.shares, rates: more.rates },
    ...{ policies: more.policies, limits: more.limits, lending: more.lending, checkpoints: more.checkpoints },
    ...{ migrations: more.migrations, balances: more.balances },
    ...{ budgets: more.budgets, deadLetters: more.deadLetters, artefacts: more.artefacts },
  }),
  restored: (state) => rebuild(state, settings),
  commands: {
    ...agentCommands(settings),
    ...drainingCommands(settings),
    ...migrationCommands(settings),
    ...rebalanceCommands(settings),
    ...leaseCommands,
    ...requestCommands(settings),
    ...taskCommands(settings),
    ...groupCommands(settings),
    ...attemptCommands(settings),
    ...checkpointCommands(settings),
    ...deadLetterCommands(settings),
    ...artefactCommands(settings),
    ...deliveryCommands,
    ...retireCommands(settings),
    ...policyCommands,
    ...limitsCommands(settings),
    ...lendingCommands,
  },
  queries: { ...queries, explain: explain(settings) },
  events: {
    ...agentEvents(settings),
    ...drainingEvents(settings),
    ...migrationEvents(settings),
    ...leaseEvents(settings),
    ...requestEvents,
    ...taskEvents(settings),
    ...groupEvents(settings),
    ...attemptEvents(settings),
    ...checkpointEvents,
    ...deadLetterEvents,
    ...artefactEvents,
    ...budgetEvents,
    ...deliveryEvents,
    ...stealingEvents(settings),
    ...policyEvents,
    ...rebalanceEvents,
    ...limitsEvents,
    ...lendingEvents,
  },
  effects: (state) => state.deliveries,
  nextDue: (state, epochStart) => earliest(balanceDue(state, epochStart), nextDue(state, epochStart, settings)),
  tick(state, ctx) {
    // In a record of its own, and first: it comes seldom, and what else is due stays so.
    const looked = look(state, ctx, settings);
    return looked.length > 0 ? looked : tick(state, ctx.now, ctx.epochStart, settings);
  },
});

const earliest = (a: number | undefined, b: number | undefined): number | undefined =>
  a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
