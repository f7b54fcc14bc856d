import type { Group } from '../../libs/wire/hivebus/pool/v1/group.ts';
import type { Agent, AgentRequest, Lease, Task } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { Cluster, DeclaredAgent, Federation, Swarm } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import type { Lending } from './lending.ts';
import type { LimitsAndUsage } from './limits.ts';
import type { NamedPolicy } from './policies.ts';

/** A few of each kind, ordinary ones and awkward ones, for the golden outputs. */

const at = (time: string): string => `2026-03-01T${time}Z`;

const federations: Federation[] = [
  {
    name: 'main',
    description: '',
    joinPolicy: 'JOIN_POLICY_OPEN',
    removeAfterMs: 0,
    createdAt: at('08:00:00.000'),
    revision: '2',
  },
  {
    name: 'research-and-development-of-the-northern-branch',
    description: 'Everything that has to do with papers, and with those who write them, in three countries',
    joinPolicy: 'JOIN_POLICY_OPERATOR',
    removeAfterMs: 3_600_000,
    createdAt: at('11:59:30.000'),
    revision: '17',
  },
];

const swarms: Swarm[] = [
  {
    name: 'code',
    project: 'hivebus',
    queenEndpoint: 'nats://127.0.0.1:4222',
    region: 'eu-west',
    tags: ['fast', 'trusted'],
    capabilities: [
      { agentType: 'coder', capacity: 4, specializations: ['distributed systems'], skills: ['lint', 'fix'] },
      { agentType: 'tester', capacity: 12, specializations: [], skills: [] },
    ],
    publicKey: 'A'.repeat(43),
    revision: '12',
    registeredAt: at('10:00:00.000'),
    updatedAt: at('11:00:00.000'),
    liveness: 'LIVENESS_HEALTHY',
    livenessSince: at('10:00:00.000'),
    health: { value: 0.934, parts: [{ name: 'liveness', weight: 0.5, value: 1, reason: 'beats as expected' }] },
    phi: 0.2,
    lastHeartbeatAt: at('11:59:59.000'),
    monitored: true,
    load: { agents: 3, utilization: 0.42, queuedTasks: 7, errorRate: 0 },
  },
  {
    name: 'quality',
    project: '',
    queenEndpoint: '',
    region: '',
    tags: [],
    capabilities: [],
    publicKey: '',
    revision: '14',
    registeredAt: at('11:58:00.000'),
    updatedAt: at('11:58:00.000'),
    liveness: 'LIVENESS_UNREACHABLE',
    livenessSince: at('11:59:15.000'),
    health: undefined,
    phi: 12,
    lastHeartbeatAt: undefined,
    monitored: false,
    load: undefined,
  },
];

const agents: Agent[] = [
  {
    swarm: 'code',
    name: 'linter-1',
    type: 'linter',
    capabilities: ['eslint', 'prettier'],
    slots: 4,
    instance: 'i-8c2f0q7d4t1z',
    allowScripts: false,
    region: 'eu-west',
    priority: 10,
    state: 'AGENT_STATE_READY',
    stateSince: at('11:00:00.000'),
    busy: 3,
    lease: '',
    serving: 'code',
    revision: '20',
    labels: { os: 'linux', gpu: 'yes' },
    specialisations: ['typescript', 'css'],
    cost: 40,
    performance: { successRate: 0.914, relativeDuration: 0.873, samples: 42 },
    lastHeartbeatAt: at('11:59:59.100'),
  },
  {
    swarm: 'a-swarm-with-quite-a-long-name',
    name: 'an-agent-with-quite-a-long-name',
    type: 'static-analyser-of-everything',
    capabilities: ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight'],
    slots: 1,
    instance: 'i-1',
    allowScripts: true,
    region: '',
    priority: 0,
    state: 'AGENT_STATE_SUSPECT',
    stateSince: at('11:59:57.000'),
    busy: 0,
    lease: 'lease-3de8knasftcs',
    serving: 'code',
    revision: '31',
    labels: {},
    specialisations: [],
    cost: 0,
  },
];

const leases: Lease[] = [
  {
    id: 'lease-3de8knasftcs',
    agent: 'docs/wc-1',
    lender: 'docs',
    borrower: 'code',
    termMs: 60_000,
    expiresAt: at('12:00:41.000'),
    state: 'LEASE_STATE_ACTIVE',
    grantedAt: at('11:50:00.000'),
    revision: '41',
    endedAt: undefined,
    reason: '',
    task: '',
  },
  {
    id: 'lease-5gg1pq0zztta',
    agent: 'docs/wc-2',
    lender: 'docs',
    borrower: 'quality',
    termMs: 1000,
    expiresAt: undefined,
    state: 'LEASE_STATE_RELEASED',
    grantedAt: at('11:00:00.000'),
    revision: '43',
    endedAt: at('11:01:00.000'),
    reason: 'given back by swarm quality',
    task: '',
  },
];

const requests: AgentRequest[] = [
  {
    id: 'request-8h2kq0s7mz4x',
    wish: {
      ...{ swarm: 'code', type: 'counter', capabilities: [], termMs: 60_000, lender: '', selector: undefined },
      ...{ waitMs: 300_000, priority: 0, id: '' },
    },
    queuedAt: at('11:59:48.000'),
    expiresAt: at('12:04:48.000'),
    revision: '44',
  },
  {
    id: 'request-of-somebody-who-chose-a-long-name',
    wish: {
      ...{ swarm: 'quality', type: 'static-analyser-of-everything', capabilities: ['one', 'two', 'three', 'four'] },
      selector: { labels: { gpu: 'yes' }, specialisations: ['vision'], region: 'eu-west' },
      ...{ termMs: 600_000, lender: 'docs', waitMs: 3_600_000, priority: 1000 },
      id: 'request-of-somebody-who-chose-a-long-name',
    },
    queuedAt: at('11:10:00.000'),
    expiresAt: at('12:10:00.000'),
    revision: '12',
  },
];

const task: Task = {
  id: 'task-21vhkr223jc5',
  spec: {
    swarm: 'code',
    type: 'counter',
    capabilities: ['wc'],
    payload: { file: 'package.json' },
    script: '',
    timeoutMs: 600_000,
    maxAttempts: 3,
    priority: 0,
    labels: { commit: '3f2a' },
    title: 'package.json',
    selector: { labels: { os: 'linux' }, specialisations: ['text'], region: 'eu-west' },
    retry: { backoffMs: 2000, maxBackoffMs: 60_000 },
    limits: { queuedMs: 600_000, totalMs: 3_600_000 },
  },
  state: 'TASK_STATE_SUCCEEDED',
  attempts: [
    {
      number: 1,
      agent: 'docs/wc-2',
      instance: 'i-1',
      lease: 'lease-3de8knasftcs',
      assignedAt: at('11:59:00.000'),
      startedAt: at('11:59:00.100'),
      endedAt: at('11:59:02.100'),
      outcome: 'OUTCOME_LOST',
      reason: 'its connection is gone',
    },
    {
      number: 2,
      agent: 'docs/wc-1',
      instance: 'i-2',
      lease: '',
      assignedAt: at('11:59:02.200'),
      startedAt: at('11:59:02.300'),
      endedAt: at('11:59:03.300'),
      outcome: 'OUTCOME_SUCCEEDED',
      reason: '',
    },
  ],
  result: { lines: 69 },
  reason: '',
  cancelRequested: false,
  submittedAt: at('11:58:59.000'),
  endedAt: at('11:59:03.300'),
  submittedBy: 'operator:local',
  traceparent: '00-67927caabb53af544c5f7cdc66a66e88-0000000000000001-01',
  correlationId: 'c-1',
  hops: 1,
  revision: '50',
  waitingFor: '',
};

const waiting: Task = {
  ...task,
  id: 'nightly-analysis-of-the-whole-repository-and-all-of-its-branches',
  spec: task.spec && {
    ...task.spec,
    title: 'The nightly analysis of the whole repository, with all of its branches and tags, as every night',
    payload: 'x'.repeat(600),
    labels: {},
  },
  state: 'TASK_STATE_QUEUED',
  attempts: task.attempts.slice(0, 1),
  result: undefined,
  endedAt: undefined,
  waitingFor: 'a free agent of type counter for swarm code: 2 of its own, of those 2 busy',
};

const NO_GATE = { minSucceededPercent: 0, criteria: [] };

const groups: Group[] = [
  {
    id: 'dwcp',
    spec: {
      swarm: 'novacron',
      title: 'Bring in the protocol, phase by phase',
      strategy: 'GROUP_STRATEGY_UNSPECIFIED',
      maxConcurrency: 4,
      onFailure: 'FAILURE_POLICY_UNSPECIFIED',
      phases: [
        { name: 'measure', gate: { ...NO_GATE, approval: { operatorOnly: false } } },
        { name: 'ship', gate: undefined },
      ],
    },
    state: 'GROUP_STATE_RUNNING',
    counts: { total: 12, blocked: 8, queued: 0, running: 0, succeeded: 4, failed: 0, cancelled: 0 },
    phase: 'measure',
    gates: [
      {
        phase: 'measure',
        state: 'GATE_STATE_WAITING',
        findings: [
          { text: 'every task succeeded', holds: true, found: '4 of 4' },
          { text: '/compression/ratio of task dwcp-bench is at least 5', holds: true, found: '5.4' },
        ],
        reachedAt: at('11:59:00.000'),
      },
    ],
    concurrency: 4,
    waitingFor: 'a yes to go on after phase measure, by swarm novacron or an operator',
    reason: '',
    result: undefined,
    tallies: [],
    submittedAt: at('11:50:00.000'),
    endedAt: undefined,
    submittedBy: 'operator:local',
    traceparent: '',
    revision: '90',
  },
  {
    id: 'which-is-right',
    spec: {
      swarm: 'papers',
      title: '',
      strategy: 'GROUP_STRATEGY_CONSENSUS',
      maxConcurrency: 0,
      onFailure: 'FAILURE_POLICY_UNSPECIFIED',
      phases: [],
      consensus: { votes: 3, thresholdPercent: 0, tie: 'TIE_RULE_FAIL', hearAll: false },
    },
    state: 'GROUP_STATE_SUCCEEDED',
    counts: { total: 3, blocked: 0, queued: 0, running: 0, succeeded: 3, failed: 0, cancelled: 0 },
    phase: '',
    gates: [],
    concurrency: 0,
    waitingFor: '',
    reason: '2 of 3 votes, 2 were needed',
    result: { answer: 42 },
    tallies: [
      { result: { answer: 42 }, tasks: ['v-1', 'v-3'], agents: ['papers/a', 'papers/c'], won: true },
      { result: { answer: 41 }, tasks: ['v-2'], agents: ['papers/b'], won: false },
    ],
    submittedAt: at('11:58:00.000'),
    endedAt: at('11:58:30.000'),
    submittedBy: 'swarm:papers',
    traceparent: '',
    revision: '95',
  },
];

const scaled = (name: string, minAgents: number, maxAgents: number): Cluster => ({
  ...{ name, swarm: 'research', generation: '1', revision: '62' },
  spec: {
    ...{ topology: 'ring', queenMode: '', strategy: '', consensusThreshold: 0, persistentVolumes: [] },
    autoscaling: { enabled: true, minAgents, maxAgents, targetUtilization: 0, topologyRatios: {}, metrics: [] },
  },
  createdAt: at('11:59:59.900'),
  updatedAt: at('11:59:59.900'),
});

const clusters: Cluster[] = [
  {
    name: 'research',
    swarm: 'research',
    spec: {
      topology: 'mesh',
      queenMode: 'distributed',
      strategy: '',
      consensusThreshold: 0.75,
      autoscaling: {
        enabled: true,
        minAgents: 3,
        maxAgents: 20,
        targetUtilization: 80,
        topologyRatios: { coder: 100 },
        metrics: [],
      },
      persistentVolumes: [],
    },
    generation: '3',
    revision: '60',
    createdAt: at('09:00:00.000'),
    updatedAt: at('11:30:00.000'),
  },
  {
    name: 'papers',
    swarm: 'research',
    spec: undefined,
    generation: '1',
    revision: '61',
    createdAt: at('11:59:59.900'),
    updatedAt: at('11:59:59.900'),
  },
  scaled('boundless', 0, 0),
  scaled('fixed', 1, 0),
];

const declared: DeclaredAgent[] = [
  {
    swarm: 'research',
    name: 'research-lead',
    spec: {
      type: 'researcher',
      clusterRef: 'research',
      cognitivePattern: 'divergent',
      priority: 100,
      maxConcurrentTasks: 5,
      capabilities: ['search', 'analyze', 'summarize', 'cite'],
      specialization: ['machine learning'],
      neuralModels: [{ name: 'pattern-recognition-v1', type: '', path: '' }],
      resources: { cpu: '2000m', memory: '4Gi', gpu: '1' },
      nodeSelector: {},
      tolerations: [],
    },
    generation: '2',
    revision: '70',
    createdAt: at('11:00:00.000'),
    updatedAt: at('11:59:00.000'),
  },
];

const policies: NamedPolicy[] = [
  {
    name: 'main',
    weights: { performance: 250, free: 250, locality: 300, specialisation: 100, priority: 50, cost: 50 },
    ...{ typicalCost: 100, ageingMs: 60_000, stealAfterMs: 60_000, version: '1', setBy: '' },
  },
  {
    name: 'research-and-development-of-the-northern-branch',
    weights: { performance: 0, free: 0, locality: 0, specialisation: 0, priority: 0, cost: 1000 },
    ...{
      typicalCost: 7,
      ageingMs: 500,
      stealAfterMs: 0,
      version: '12',
      setBy: 'operator:ada',
      setAt: at('11:00:00.000'),
    },
  },
];

const limits: LimitsAndUsage[] = [
  {
    ...{ swarm: 'code', weight: 2000, maxRunning: 20, maxQueued: 1000, maxLeases: 4, maxRequests: 8 },
    ...{ submitsPerSecond: 50, submitBurst: 200, version: '3', setBy: 'operator:ada', setAt: at('11:00:00.000') },
    usage: { running: 20, queued: 312, leases: 1, requests: 0 },
  },
  {
    ...{ swarm: 'quality', weight: 0, maxRunning: 0, maxQueued: 0, maxLeases: 0, maxRequests: 0 },
    ...{ submitsPerSecond: 0, submitBurst: 0, version: '0', setBy: '' },
    usage: { running: 3, queued: 0, leases: 0, requests: 0 },
  },
];

const lendings: Lending[] = [
  {
    ...{ swarm: 'docs', closed: false, to: ['code', 'quality'], maxLent: 4, keepPercent: 50, recallPriority: 500 },
    ...{ noticeMs: 30_000, version: '2', setBy: 'swarm:docs', setAt: at('11:00:00.000'), lent: 1 },
  },
  {
    ...{ swarm: 'security', closed: true, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0 },
    ...{ noticeMs: 0, version: '1', setBy: 'operator:ada', setAt: at('11:00:00.000'), lent: 0 },
  },
  {
    ...{ swarm: 'quality', closed: false, to: [], maxLent: 0, keepPercent: 0, recallPriority: 0 },
    ...{ noticeMs: 0, version: '0', setBy: '', lent: 2 },
  },
];

export const SAMPLES: Readonly<Record<string, readonly unknown[]>> = {
  federation: federations,
  swarm: swarms,
  agent: agents,
  lease: leases,
  request: requests,
  group: groups,
  task: [task, waiting],
  cluster: clusters,
  swarmagent: declared,
  policy: policies,
  limit: limits,
  lending: lendings,
};
