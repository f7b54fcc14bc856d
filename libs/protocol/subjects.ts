/**
 * Every subject, stream and bucket name, the literal above its builder. No other file writes one.
 * Callers pass names that were checked (kernel/names.ts) or keys made of such names.
 */

/** `HIVE_<federation>_<service>` */
export const journalStream = (federation: string, service: string): string => `HIVE_${federation}_${service}`;

/** `hive.<federation>.journal.<service>` */
export const journalSubject = (federation: string, service: string): string => `hive.${federation}.journal.${service}`;

/** `HIVE_<federation>_<service>_snapshots` */
export const snapshotBucket = (federation: string, service: string): string =>
  `HIVE_${federation}_${service}_snapshots`;

/** `HIVE_<federation>_artefacts`: the bucket of what tasks have stored. */
export const artefactBucket = (federation: string): string => `HIVE_${federation}_artefacts`;

/** `OBJ_<bucket>`: the stream of a NATS object store. */
export const objectStream = (bucket: string): string => `OBJ_${bucket}`;

/** `$O.<bucket>.M.<name>`: what is known of an object; the name in base64url with padding. */
export const objectSubject = (bucket: string, name: string): string =>
  `$O.${bucket}.M.${Buffer.from(name).toString('base64').replaceAll('+', '-').replaceAll('/', '_')}`;

/** `$O.<bucket>.M.>` */
export const objectSubjects = (bucket: string): string => `$O.${bucket}.M.>`;

/** The name in an `objectSubject`. */
export const objectName = (subject: string): string =>
  Buffer.from(subject.slice(subject.lastIndexOf('.') + 1), 'base64url').toString();

/** `$O.<bucket>.C.<id>`: the pieces of an object's content. */
export const objectPieces = (bucket: string, id: string): string => `$O.${bucket}.C.${id}`;

/** `_HIVE.<federation>.<service>.leader` */
export const leaderSubject = (federation: string, service: string): string => `_HIVE.${federation}.${service}.leader`;

/** `hive.<federation>.<service>.<event>[.<key>]` */
export const announcementSubject = (federation: string, service: string, event: string, key: string): string =>
  key === '' ? `hive.${federation}.${service}.${event}` : `hive.${federation}.${service}.${event}.${key}`;

/**
 * `_HIVE.<federation>.agent.<swarm>.<agent>.<instance>`: where an agent's instance is asked. Outside `hive.>`: who listens
 * to everything there would count as a responder, and a dead agent as alive.
 */
export const assignmentSubject = (federation: string, swarm: string, agent: string, instance: string): string =>
  `${agentSubject(federation, swarm, agent)}.${instance}`;

/** `_HIVE.<federation>.agent.<swarm>.<agent>`: all instances of one, in spans */
export const agentSubject = (federation: string, swarm: string, agent: string): string =>
  `_HIVE.${federation}.agent.${swarm}.${agent}`;

/** `hive.<federation>.pool.agent.*.<swarm>.<agent>`: what happens to one agent */
export const agentNewsSubject = (federation: string, swarm: string, agent: string): string =>
  announcementSubject(federation, 'pool', 'agent.*', `${swarm}.${agent}`);

/** `hive.<federation>.rpc.<service>.<Method>` */
export const rpcSubject = (federation: string, service: string, method: string): string =>
  `hive.${federation}.rpc.${service}.${method}`;

/** `hive.*.rpc.<service>.<Method>`: one subscription for every federation. */
export const rpcSubjectOfAll = (service: string, method: string): string => `hive.*.rpc.${service}.${method}`;

/** `hive.<federation>.rpc.<service>`: several calls in one message */
export const rpcBundleSubject = (federation: string, service: string): string => `hive.${federation}.rpc.${service}`;

/** `hive.*.rpc.<service>` */
export const rpcBundleSubjectOfAll = (service: string): string => `hive.*.rpc.${service}`;

/** `_HIVE.<federation>.rpc.<service>.<Method>`: heard by every replica; where a request is repeated that one has not answered. */
export const rpcRepeatSubject = (federation: string, service: string, method: string): string =>
  `_HIVE.${federation}.rpc.${service}.${method}`;

/** `_HIVE.*.rpc.<service>.<Method>` */
export const rpcRepeatSubjectOfAll = (service: string, method: string): string => `_HIVE.*.rpc.${service}.${method}`;

/** `hive.<federation>.heartbeat.<swarm>[.<agent>]` */
export const heartbeatSubject = (federation: string, swarm: string, agent = ''): string =>
  agent === '' ? `hive.${federation}.heartbeat.${swarm}` : `hive.${federation}.heartbeat.${swarm}.${agent}`;

/** `hive.<federation>.heartbeat.*.*`: agents, not their swarms */
export const agentHeartbeatsOfAll = (federation: string): string => `hive.${federation}.heartbeat.*.*`;

/** `hive.<federation>.heartbeat.*`: swarms, not their agents */
export const swarmHeartbeatsOfAll = (federation: string): string => `hive.${federation}.heartbeat.*`;

/** `hive.<federation>.discovery` */
export const discoverySubject = (federation: string): string => `hive.${federation}.discovery`;

/** `hive.<federation>.task.<task>.log` */
export const taskLogSubject = (federation: string, task: string): string => `hive.${federation}.task.${task}.log`;

/** `hive.<federation>.task.*.log` */
export const taskLogsOfAll = (federation: string): string => `hive.${federation}.task.*.log`;

/** `HIVE_<federation>_task_logs` */
export const taskLogStream = (federation: string): string => `HIVE_${federation}_task_logs`;

/** `hive.<federation>.dead.<origin>` */
export const deadLetterSubject = (federation: string, origin: string): string => `hive.${federation}.dead.${origin}`;

/** `HIVE_<federation>_dead` */
export const deadLetterStream = (federation: string): string => `HIVE_${federation}_dead`;

/**
 * May a stranger name this subject for answers? An answer is published with the server's own rights, so it must reach
 * neither the NATS server's subjects (`$JS.API.STREAM.PURGE.…` takes an empty message) nor ours.
 */
export const isReplySubject = (subject: string): boolean => !/^(\$|hive\.|_HIVE\.)/.test(subject);

/** The federation of a subject `hive.<federation>.…`. */
export const federationOf = (subject: string): string => subject.split('.', 2)[1] ?? '';
