import type { Machine } from '../../../libs/protocol/machine.ts';
import {
  applyClusterDeleted,
  applyClusterStored,
  deleteCluster,
  getCluster,
  listClusters,
  putCluster,
} from './cluster.ts';
import {
  applyDeclaredDeleted,
  applyDeclaredStored,
  deleteDeclaredAgent,
  getDeclaredAgent,
  listDeclaredAgents,
  putDeclaredAgent,
} from './declared-agent.ts';
import {
  adoptFederation,
  applyFederation,
  census,
  getFederation,
  initFederation,
  listFederations,
  settingsIn,
  updateFederation,
} from './federation.ts';
import { applyLiveness, nextRemoval, observeLiveness, removeUnreachable } from './liveness.ts';
import { compareSwarms, findSwarms, recommendFallbacks } from './ranking.ts';
import { emptyState, type RegistryShape, reindex } from './state.ts';
import {
  applyRegistered,
  applyRemoved,
  deregisterSwarm,
  getSwarm,
  getSwarms,
  listSwarms,
  registerSwarm,
} from './swarm.ts';

/** The registry of one federation: who is in it, what each swarm can do, and whether it is alive. */
export const registryMachine = (federation: string): Machine<RegistryShape> => ({
  service: 'registry',
  init: () => emptyState(federation),
  tables: ({ federations, swarms, clusters, declared }) => ({ federations, swarms, clusters, declared }),
  restored: reindex,
  commands: {
    initFederation,
    updateFederation,
    adoptFederation,
    registerSwarm,
    deregisterSwarm,
    observeLiveness,
    putCluster,
    deleteCluster,
    putDeclaredAgent,
    deleteDeclaredAgent,
  },
  queries: {
    getFederation,
    settings: settingsIn,
    listFederations: (state, _, view) => listFederations(state, view),
    census: (state, _, view) => census(state, view),
    getSwarm,
    getSwarms,
    listSwarms,
    findSwarms,
    compareSwarms,
    recommendFallbacks,
    getCluster,
    listClusters,
    getDeclaredAgent,
    listDeclaredAgents,
  },
  events: {
    'federation.created': { apply: applyFederation, key: ({ name }) => name },
    'federation.updated': { apply: applyFederation, key: ({ name }) => name },
    'swarm.registered': { apply: applyRegistered, key: ({ name }) => name },
    'swarm.removed': { apply: applyRemoved, key: ({ name }) => name },
    'swarm.liveness': { apply: applyLiveness, key: ({ name }) => name },
    'cluster.stored': { apply: applyClusterStored, key: ({ name }) => name },
    'cluster.deleted': { apply: applyClusterDeleted, key: ({ name }) => name },
    'declared-agent.stored': { apply: applyDeclaredStored, key: ({ swarm, name }) => `${swarm}.${name}` },
    'declared-agent.deleted': { apply: applyDeclaredDeleted, key: ({ swarm, name }) => `${swarm}.${name}` },
  },
  nextDue: nextRemoval,
  tick: removeUnreachable,
});
