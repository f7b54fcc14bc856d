/**
 * Hivebus for programs: connect to a federation, lead a swarm, be an agent.
 *
 *     import { connect, createSwarm } from 'hivebus';
 *
 *     await using hive = await connect({ servers: 'nats://127.0.0.1:4222' });
 *     await using swarm = await createSwarm({ hive, name: 'code', capabilities: [{ agentType: 'linter', capacity: 2 }] });
 *     await using agent = await swarm.createAgent({
 *       name: 'lint-1',
 *       type: 'linter',
 *       handler: async (task, { log, signal }) => {
 *         log(`linting ${task.title}`);
 *         return { findings: [] };
 *       },
 *     });
 *     const task = await swarm.submitTask({ type: 'linter', payload: { file: 'a.ts' } });
 *     const done = await waitForTask(swarm.hive, task.id);
 *
 * Traces: what is called within `run` is one trace, which begins with a span of that name, for `hivebus trace`.
 *
 *     await using tracing = await startTracing({ service: 'nightly' });
 *     tracing.sendBy(hive);
 *     await tracing.run('nightly lint', async () => { … });
 *
 * Every failure is a HiveError with a code of a closed set, and says whether trying again may help.
 */

export type { BusAccess } from '../bus/access.ts';
export { type Code, type ErrorJson, HiveError, type Violation } from '../kernel/errors.ts';
export type { CallOptions, Client } from '../rpc/api.ts';
export type { Agent as PoolAgent, Lease, Task, TaskSpec, TaskState } from '../wire/hivebus/pool/v1/pool.ts';
export type { Capability, Load, Swarm as SwarmInfo } from '../wire/hivebus/registry/v1/registry.ts';
export { createAgent } from './agent.ts';
export type { Agent, AgentOptions } from './agent-options.ts';
export { readArtefact, resultOf } from './artefacts.ts';
export { type ConnectOptions, connect } from './connect.ts';
export { createExecHandler, type ExecHandler, type ExecOptions } from './exec.ts';
export type { Hive, Identity } from './hive.ts';
export type { BorrowedAgent } from './lease.ts';
export { openPoolSession, type PoolSession } from './pool-session.ts';
export type { PoolSessionOptions } from './pool-session-options.ts';
export { type ReadLogOptions, readTaskLog } from './read-log.ts';
export { readTrace } from './read-trace.ts';
export { type Submission, type SubmitAllOptions, type Submitted, submitAll } from './submit-all.ts';
export { createSwarm, type Swarm, type SwarmOptions } from './swarm.ts';
export type { AgentTask, TaskClaim, TaskHandler, TaskRun } from './task.ts';
export { inBackground } from './trace-context.ts';
export { startTracing, type Tracing, type TracingOptions } from './tracing.ts';
export { followTasks, isEnded, type TaskFilter, waitForTask } from './wait.ts';
