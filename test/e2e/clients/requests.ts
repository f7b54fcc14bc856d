/**
 * A request for each unary method, in an order in which each finds what it needs, and its outcome: `ok`, or gRPC's code
 * where there is nothing to be done. Methods that are not named here are asked with an empty request.
 */

const registry = (method: string) => `hivebus.registry.v1.RegistryService/${method}`;
const pool = (method: string) => `hivebus.pool.v1.ResourcePoolService/${method}`;

const worker = { swarm: 'lender', name: 'worker' };
const attempt = { task: 'first', attempt: 1, instance: 'i1' };

export const REQUESTS: readonly (readonly [path: string, request: object, outcome: string])[] = [
  [registry('InitFederation'), { name: 'other' }, 'ok'],
  [registry('UpdateFederation'), { name: 'other', description: 'a second one' }, 'ok'],
  [registry('GetFederation'), {}, 'ok'],
  [registry('ListFederations'), {}, 'ok'],
  [registry('RegisterSwarm'), { name: 'lender', capabilities: [{ agentType: 'test', capacity: 1 }] }, 'ok'],
  [registry('RegisterSwarm'), { name: 'borrower' }, 'ok'],
  [registry('GetSwarm'), { name: 'lender' }, 'ok'],
  [registry('ListSwarms'), {}, 'ok'],
  [registry('FindSwarms'), { agentType: 'test' }, 'ok'],
  [registry('CompareSwarms'), { left: 'lender', right: 'borrower' }, 'ok'],
  [registry('RecommendFallbacks'), { swarm: 'lender' }, 'ok'],
  [registry('Heartbeat'), { swarm: 'lender', load: {} }, 'ok'],
  [registry('ListClusters'), {}, 'ok'],
  [registry('GetCluster'), { name: 'nothing' }, 'not_found'],
  [registry('DeleteCluster'), { name: 'nothing' }, 'not_found'],
  [pool('SubmitTask'), { id: 'first', spec: { swarm: 'borrower', type: 'nobody' } }, 'ok'],
  [pool('GetTask'), { id: 'first' }, 'ok'],
  [pool('ListTasks'), {}, 'ok'],
  [pool('RegisterAgent'), { ...worker, type: 'test', instance: 'i1' }, 'ok'],
  [pool('ListAgents'), {}, 'ok'],
  [pool('ConfirmAssignment'), attempt, 'any'], // it was given nothing
  [pool('ReportTask'), { ...attempt, outcome: 'OUTCOME_SUCCEEDED' }, 'any'],
  [pool('DeregisterAgent'), worker, 'ok'],
  [pool('GetAgent'), worker, 'not_found'],
  [pool('RequestAgent'), { swarm: 'borrower', type: 'test' }, 'resource_exhausted'],
  [pool('RenewLease'), { lease: 'lease-none' }, 'not_found'],
  [pool('ReleaseLease'), { lease: 'lease-none' }, 'not_found'],
  [pool('ListLeases'), {}, 'ok'],
  [pool('CancelTask'), { id: 'first' }, 'ok'],
  [registry('DeregisterSwarm'), { name: 'borrower' }, 'ok'],
];
