import { DueQueue } from '../../../libs/kernel/due-queue.ts';
import { Table } from '../../../libs/kernel/table.ts';
import type { EventOf } from '../../../libs/protocol/machine.ts';
import type * as events from '../../../libs/wire/hivebus/pool/v1/events.ts';
import type * as wire from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { EndedOnes } from './ended.ts';
import { FairShare } from './fair-share.ts';
import type { GroupRow } from './group-rows.ts';
import { Migrations } from './migrations.ts';
import { Stealing } from './offered.ts';
import { Queue } from './queue.ts';
import { Requests } from './requests.ts';
import type {
  AgentRow,
  ArtefactsRow,
  BalanceRow,
  BudgetRow,
  CheckpointRow,
  DeadLetterRow,
  DeliveryRow,
  LeaseRow,
  LendingRow,
  LimitsRow,
  MeasureRow,
  MigrationRow,
  NormRow,
  PolicyRow,
  RateRow,
  RequestRow,
  ShareRow,
  TaskRow,
} from './rows.ts';
import { Scoring } from './score.ts';
import type { PoolSettings } from './settings.ts';
import { Ties } from './ties.ts';
import { Usage } from './usage.ts';
import { Workers } from './workers.ts';

/**
 * The pool of one federation. Invariants, checked by the model test:
 * - an agent never has more current attempts than slots;
 * - a task has at most one current attempt, and exactly one outcome once it has ended;
 * - no task waits while an agent that serves its swarm, fits it and is ready has a free slot;
 * - an agent has a lease exactly when that lease is ACTIVE or DRAINING;
 * - no task is given out before the tasks that it depends on ended as its policy allows, nor while its group is paused;
 * - no two votes of a group are given to the same agent, and a group has no more in hand than its bound;
 * - no request and no offered task waits while an agent that could be lent to it is at home and has a free slot.
 */
export interface PoolState {
  readonly agents: Table<AgentRow>;
  readonly leases: Table<LeaseRow>;
  readonly tasks: Table<TaskRow>;
  /** Tasks that belong together. */
  readonly groups: Table<GroupRow>;
  readonly deliveries: Table<DeliveryRow>;
  /** By task, of those that have stored one and not ended. */
  readonly checkpoints: Table<CheckpointRow>;
  /** How well agents have done, by agent. */
  readonly measures: Table<MeasureRow>;
  /** How long tasks take, by type. */
  readonly norms: Table<NormRow>;
  readonly policies: Table<PolicyRow>;
  /** Requests for agents that wait. */
  readonly requests: Table<RequestRow>;
  /** What swarms have had of others' agents, by swarm. */
  readonly shares: Table<ShareRow>;
  /** What swarms may use, by swarm. */
  readonly limits: Table<LimitsRow>;
  readonly rates: Table<RateRow>;
  /** What swarms lend, by swarm. */
  readonly lending: Table<LendingRow>;
  readonly migrations: Table<MigrationRow>;
  readonly balances: Table<BalanceRow>;
  /** By task, of those that have one and are referred to. */
  readonly budgets: Table<BudgetRow>;
  /** By task, the oldest first. */
  readonly deadLetters: Table<DeadLetterRow>;
  /** By task, of those that have some. */
  readonly artefacts: Table<ArtefactsRow>;
  /** Everything below is derived from the tables above. */
  readonly scoring: Scoring;
  readonly fair: FairShare;
  readonly asking: Requests;
  readonly usage: Usage;
  readonly stealing: Stealing;
  readonly moving: Migrations;
  readonly endedMigrations: EndedOnes;
  readonly workers: Workers;
  readonly queue: Queue;
  readonly ties: Ties;
  /**
   * `task/<id>`, `lease/<id>`, `agent/<key>` by a time before which nothing is due for them; at 0, `group/<id>` and
   * `blocked/<task>` that must be looked at because something changed for them.
   */
  readonly due: DueQueue;
  readonly endedTasks: EndedOnes;
  readonly endedLeases: EndedOnes;
  /** The size of all checkpoints. */
  readonly checkpointBytes: { value: number };
  /** The size of all artefacts. */
  readonly artefactBytes: { value: number };
  /** About the size of all dead letters. */
  readonly deadBytes: { value: number };
  /** How many tasks and budgets refer to each budget. */
  readonly budgetRefs: Map<string, number>;
  readonly endedGroups: EndedOnes;
  /** Deliveries by agent, for agents that are owed any. */
  readonly owed: Map<string, Set<string>>;
  /** The setting, where plans find it. */
  readonly keptScores: number;
}

export function emptyState({ keptScores }: Pick<PoolSettings, 'keptScores'>): PoolState {
  const scoring = new Scoring();
  const shares = new Table<ShareRow>();
  const limits = new Table<LimitsRow>();
  return {
    agents: new Table(),
    leases: new Table(),
    tasks: new Table(),
    groups: new Table(),
    deliveries: new Table(),
    checkpoints: new Table(),
    budgets: new Table(),
    deadLetters: new Table(),
    artefacts: new Table(),
    measures: new Table(),
    norms: new Table(),
    policies: new Table(),
    requests: new Table(),
    shares,
    scoring,
    limits,
    rates: new Table(),
    lending: new Table(),
    migrations: new Table(),
    balances: new Table(),
    moving: new Migrations(),
    endedMigrations: new EndedOnes(),
    fair: new FairShare(shares, limits),
    asking: new Requests(),
    usage: new Usage(),
    stealing: new Stealing(),
    workers: new Workers(scoring),
    queue: new Queue(),
    ties: new Ties(),
    due: new DueQueue(),
    endedTasks: new EndedOnes(),
    endedLeases: new EndedOnes(),
    checkpointBytes: { value: 0 },
    artefactBytes: { value: 0 },
    deadBytes: { value: 0 },
    budgetRefs: new Map(),
    endedGroups: new EndedOnes(),
    owed: new Map(),
    keptScores,
  };
}

/** What the pool knows of swarms: it follows the registry. Soft, so a refusal may rest on it, but no event does. */
export interface PoolSoft {
  readonly swarms: {
    /** False until the registry was heard for the first time: nothing can be said of any swarm. */
    readonly synced: boolean;
    /** Id of the key that owns a registered swarm; undefined = not registered. */
    keyOf(swarm: string): string | undefined;
    /** When a registered swarm registered: names this registration of its name. */
    registrationOf(swarm: string): string | undefined;
    /** All that are registered, for who has mistyped one. */
    names(): readonly string[];
  };
  /** What this replica signs assignments with: a public key, base64url of its 32 bytes. */
  readonly deliveryKey?: string;
}

/** What the pool's shell saw of an agent. */
export interface Observation {
  readonly agent: string;
  readonly instance: string;
  readonly state: wire.AgentState;
  /** The evidence, for people. */
  readonly reason: string;
}

/** A swarm whose registrations are over. */
export interface Retirement {
  readonly swarm: string;
  /** Registrations that are over; '' = of rows that do not say theirs. */
  readonly registrations: readonly string[];
}

/** A query for tasks by id, e.g. those that a record changed: of a swarm, if it names one, and in these states, if any. */
export interface TasksById extends Pick<wire.ListTasksRequest, 'swarm' | 'states'> {
  readonly ids: readonly string[];
}

/** A submission: neither idempotent nor a dry run unless it says so. */
export type Submission = Pick<wire.SubmitTaskRequest, 'id' | 'spec'> & Partial<wire.SubmitTaskRequest>;

type Command<Input, Reply> = { readonly input: Input; readonly reply: Reply };

export interface PoolShape {
  state: PoolState;
  soft: PoolSoft;
  commands: {
    registerAgent: Command<wire.RegisterAgentRequest, wire.RegisterAgentResponse>;
    deregisterAgent: Command<wire.DeregisterAgentRequest, wire.DeregisterAgentResponse>;
    drainAgent: Command<wire.DrainAgentRequest, wire.DrainAgentResponse>;
    resumeAgent: Command<wire.ResumeAgentRequest, wire.ResumeAgentResponse>;
    migrateAgent: Command<wire.MigrateAgentRequest, wire.MigrateAgentResponse>;
    cancelMigration: Command<wire.CancelMigrationRequest, wire.CancelMigrationResponse>;
    rebalance: Command<wire.RebalanceRequest, wire.RebalanceResponse>;
    requestAgent: Command<wire.RequestAgentRequest, wire.RequestAgentResponse>;
    renewLease: Command<wire.RenewLeaseRequest, wire.RenewLeaseResponse>;
    withdrawAgentRequest: Command<wire.WithdrawAgentRequestRequest, wire.WithdrawAgentRequestResponse>;
    releaseLease: Command<wire.ReleaseLeaseRequest, wire.ReleaseLeaseResponse>;
    submitTask: Command<Submission, wire.SubmitTaskResponse>;
    replayTask: Command<wire.ReplayTaskRequest, wire.ReplayTaskResponse>;
    cancelTask: Command<wire.CancelTaskRequest, wire.CancelTaskResponse>;
    submitGroup: Command<wire.SubmitGroupRequest, wire.SubmitGroupResponse>;
    pauseGroup: Command<wire.PauseGroupRequest, wire.PauseGroupResponse>;
    resumeGroup: Command<wire.ResumeGroupRequest, wire.ResumeGroupResponse>;
    cancelGroup: Command<wire.CancelGroupRequest, wire.CancelGroupResponse>;
    decide: Command<wire.DecideRequest, wire.DecideResponse>;
    /** A command without events, because its answer carries the leader's epoch and must not be stale. */
    listAssignments: Command<wire.ListAssignmentsRequest, wire.ListAssignmentsResponse>;
    confirmAssignment: Command<wire.ConfirmAssignmentRequest, wire.ConfirmAssignmentResponse>;
    saveCheckpoint: Command<wire.SaveCheckpointRequest, wire.SaveCheckpointResponse>;
    putArtefactPart: Command<wire.PutArtefactPartRequest, wire.PutArtefactPartResponse>;
    addArtefact: Command<wire.AddArtefactRequest, wire.AddArtefactResponse>;
    reportTask: Command<wire.ReportTaskRequest, wire.ReportTaskResponse>;
    setPolicy: Command<wire.SetPolicyRequest, wire.SetPolicyResponse>;
    revokeLease: Command<wire.RevokeLeaseRequest, wire.RevokeLeaseResponse>;
    setLendingPolicy: Command<wire.SetLendingPolicyRequest, wire.SetLendingPolicyResponse>;
    setSwarmLimits: Command<wire.SetSwarmLimitsRequest, wire.SetSwarmLimitsResponse>;
    /** Internal: an agent's liveness changed. */
    observeAgent: Command<Observation, null>;
    /** Internal: ends what belongs to registrations that are over; `left`: there is more, say it again. */
    retireSwarm: Command<Retirement, { readonly left: boolean }>;
    /** Internal: an agent has received what was owed to it. */
    settleDelivery: Command<{ readonly effect: string }, null>;
  };
  queries: {
    getAgent: Command<wire.GetAgentRequest, wire.GetAgentResponse>;
    listAgents: Command<wire.ListAgentsRequest, wire.ListAgentsResponse>;
    planRebalance: Command<wire.PlanRebalanceRequest, wire.PlanRebalanceResponse>;
    listMigrations: Command<wire.ListMigrationsRequest, wire.ListMigrationsResponse>;
    listLeases: Command<wire.ListLeasesRequest, wire.ListLeasesResponse>;
    getTask: Command<wire.GetTaskRequest, wire.GetTaskResponse>;
    listTasks: Command<wire.ListTasksRequest, wire.ListTasksResponse>;
    listDeadLetters: Command<wire.ListDeadLettersRequest, wire.ListDeadLettersResponse>;
    getDeadLetter: Command<wire.GetDeadLetterRequest, wire.GetDeadLetterResponse>;
    /** Internal: what an artefact is. */
    artefact: Command<wire.ReadArtefactRequest, wire.Artefact>;
    getCheckpoint: Command<wire.GetCheckpointRequest, wire.GetCheckpointResponse>;
    getGroup: Command<wire.GetGroupRequest, wire.GetGroupResponse>;
    listGroups: Command<wire.ListGroupsRequest, wire.ListGroupsResponse>;
    getLendingPolicy: Command<wire.GetLendingPolicyRequest, wire.GetLendingPolicyResponse>;
    getSwarmLimits: Command<wire.GetSwarmLimitsRequest, wire.GetSwarmLimitsResponse>;
    getPolicy: Command<wire.GetPolicyRequest, wire.GetPolicyResponse>;
    /** Internal: what the log lines of a task's confirmed attempts are signed with; '' = they are not. */
    logKeys: Command<{ readonly id: string }, { readonly keys: [attempt: number, key: string][] }>;
    tasksById: Command<TasksById, Pick<wire.WatchTasksResponse, 'changed' | 'removed'>>;
    listAgentRequests: Command<wire.ListAgentRequestsRequest, wire.ListAgentRequestsResponse>;
    /** Internal: the lease that a request led to. */
    grantedLease: Command<{ readonly lease: string }, wire.RequestAgentResponse>;
    explain: Command<wire.ExplainRequest, wire.ExplainResponse>;
  };
  events: {
    'agent.registered': events.AgentRegistered;
    'agent.removed': events.AgentRemoved;
    'agent.state': events.AgentStateChanged;
    'agent.draining': events.AgentDraining;
    'agent.drained': events.AgentDrained;
    'agent.resumed': events.AgentResumed;
    'agent.migrated': events.AgentMigrated;
    'migration.proposed': events.MigrationProposed;
    'migration.draining': events.MigrationDraining;
    'migration.transferring': events.MigrationTransferring;
    'migration.cancelled': events.MigrationCancelled;
    'migration.forgotten': events.MigrationForgotten;
    'request.queued': events.AgentRequestQueued;
    'request.ended': events.AgentRequestEnded;
    'lease.granted': events.LeaseGranted;
    'lease.renewed': events.LeaseRenewed;
    'lease.draining': events.LeaseDraining;
    'lease.ended': events.LeaseEnded;
    'lease.forgotten': events.LeaseForgotten;
    'task.submitted': events.TaskSubmitted;
    'task.assigned': events.TaskAssigned;
    'task.started': events.TaskStarted;
    'task.attempt-ended': events.TaskAttemptEnded;
    'task.ready': events.TaskReady;
    'task.checkpointed': events.TaskCheckpointed;
    'task.offered': events.TaskOffered;
    'task.cancel-requested': events.TaskCancelRequested;
    'task.ended': events.TaskEnded;
    'artefact.added': events.ArtefactAdded;
    'task.replayed': events.TaskReplayed;
    'budget.charged': events.BudgetCharged;
    'task.forgotten': events.TaskForgotten;
    'task.released': events.TaskReleased;
    'task.approved': events.TaskApproved;
    'group.submitted': events.GroupSubmitted;
    'group.paused': events.GroupPaused;
    'group.resumed': events.GroupResumed;
    'group.gate': events.GroupGate;
    'group.ending': events.GroupEnding;
    'group.ended': events.GroupEnded;
    'group.forgotten': events.GroupForgotten;
    'delivery.settled': events.DeliverySettled;
    'policy.set': events.PolicySet;
    'rebalance.looked': events.RebalanceLooked;
    'lending.set': events.LendingPolicySet;
    'lending.removed': events.LendingPolicyRemoved;
    'limits.set': events.SwarmLimitsSet;
  };
}

export type PoolEvent = EventOf<PoolShape>;
