import type { CommandRules } from '../../libs/rpc/command-check.ts';
import type * as rpc from '../../libs/wire/hivebus/pool/v1/pool.ts';
import {
  checkAgentName,
  checkCancelMigration,
  checkDrain,
  checkMigration,
  checkRegistration,
} from './validation/agents.ts';
import { checkArtefact, checkArtefactPart } from './validation/artefacts.ts';
import { checkAssignments, checkCheckpoint, checkConfirmation, checkReport } from './validation/attempts.ts';
import { checkDecision, checkGroup } from './validation/groups.ts';
import { checkBorrowing, checkLending, checkRevocation } from './validation/leases.ts';
import { checkId } from './validation/parts.ts';
import { checkRebalance } from './validation/rebalance.ts';
import { checkLimits, checkPolicy } from './validation/settings.ts';
import { checkCancel, checkReplay, checkSubmission } from './validation/tasks.ts';

/**
 * The edge: each request is checked once, all its faults are reported together (INVALID_ARGUMENT), and what comes
 * after never checks again. The rules are those that the proto files state; types and unknown fields were checked by
 * the adaptors.
 */

type Asked = rpc.RegisterAgentRequest & rpc.SubmitTaskRequest & rpc.SetSwarmLimitsRequest & rpc.SetLendingPolicyRequest;

/** The swarm that must be registered for a checked command; empty = none. */
export function swarmOf(command: string, input: unknown): string {
  const { swarm = '', spec, limits, policy } = input as Partial<Asked>;
  if (command === 'submitTask' || command === 'submitGroup') return spec?.swarm ?? '';
  if (command === 'setSwarmLimits') return limits?.swarm ?? '';
  if (command === 'setLendingPolicy') return policy?.swarm ?? '';
  return command === 'registerAgent' || command === 'requestAgent' ? swarm : '';
}

/** The rules of each command, for what other replicas forward. */
export const COMMAND_RULES: CommandRules<rpc.ResourcePoolServiceService> = {
  registerAgent: checkRegistration,
  deregisterAgent: checkAgentName,
  drainAgent: checkDrain,
  resumeAgent: checkAgentName,
  migrateAgent: checkMigration,
  cancelMigration: checkCancelMigration,
  rebalance: checkRebalance,
  requestAgent: checkBorrowing,
  renewLease: ({ lease }) => checkId('lease', lease),
  withdrawAgentRequest: ({ id }) => checkId('id', id),
  releaseLease: ({ lease }) => checkId('lease', lease),
  submitTask: checkSubmission,
  cancelTask: checkCancel,
  replayTask: checkReplay,
  submitGroup: checkGroup,
  pauseGroup: checkCancel,
  resumeGroup: ({ id }) => checkId('id', id),
  cancelGroup: checkCancel,
  decide: checkDecision,
  listAssignments: checkAssignments,
  confirmAssignment: checkConfirmation,
  saveCheckpoint: checkCheckpoint,
  putArtefactPart: (request) => void checkArtefactPart(request),
  addArtefact: checkArtefact,
  reportTask: checkReport,
  revokeLease: checkRevocation,
  setLendingPolicy: checkLending,
  setPolicy: checkPolicy,
  setSwarmLimits: checkLimits,
};
