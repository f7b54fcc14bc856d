import { Checks } from '../../../libs/kernel/checks.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { labels, MAX_AGENT_LABEL, MAX_COST, MAX_WAIT_MS, page, stated } from './parts.ts';

/** Agents: registrations and lists. */

export function checkRegistration(request: rpc.RegisterAgentRequest): void {
  const checks = new Checks();
  checks.name('swarm', request.swarm);
  checks.name('name', request.name);
  checks.name('type', request.type);
  checks.names('capabilities', request.capabilities);
  checks.range('slots', request.slots, 0, 256);
  checks.name('instance', request.instance);
  checks.nameOrEmpty('migration', request.migration ?? '');
  checks.nameOrEmpty('region', request.region);
  checks.range('priority', request.priority, 0, 1000);
  labels(checks, 'labels', request.labels, MAX_AGENT_LABEL);
  checks.names('specialisations', request.specialisations);
  checks.range('cost', request.cost, 0, MAX_COST);
  checks.done();
}

export function checkAgentName(request: { swarm: string; name: string; instance?: string }): void {
  const checks = new Checks();
  checks.name('swarm', request.swarm);
  checks.name('name', request.name);
  checks.nameOrEmpty('instance', request.instance ?? '');
  checks.done();
}

export function checkDrain(request: rpc.DrainAgentRequest): void {
  const checks = new Checks();
  checks.name('swarm', request.swarm);
  checks.name('name', request.name);
  checks.nameOrEmpty('instance', request.instance);
  checks.range('graceMs', request.graceMs, 0, MAX_WAIT_MS);
  checks.text('reason', request.reason, 256);
  checks.done();
}

export function checkMigration(request: rpc.MigrateAgentRequest): void {
  const checks = new Checks();
  const { swarm, name, to, newName, graceMs, reason } = request;
  checks.name('swarm', swarm);
  checks.name('name', name);
  checks.name('to', to);
  checks.rule(to !== swarm, 'to', to, 'must be another swarm than the one that it leaves');
  checks.nameOrEmpty('newName', newName);
  checks.range('graceMs', graceMs, 0, MAX_WAIT_MS);
  checks.text('reason', reason, 256);
  checks.done();
}

export function checkCancelMigration({ id, reason }: rpc.CancelMigrationRequest): void {
  const checks = new Checks();
  checks.name('id', id);
  checks.text('reason', reason, 256);
  checks.done();
}

export function checkAgentList(request: rpc.ListAgentsRequest): void {
  const checks = new Checks();
  checks.nameOrEmpty('swarm', request.swarm);
  checks.nameOrEmpty('type', request.type);
  stated(checks, request.states, 'AGENT_STATE_UNSPECIFIED');
  page(checks, request.pageSize, request.pageToken, /^[-a-z0-9]+\/[-a-z0-9]+$/);
  checks.done();
}
