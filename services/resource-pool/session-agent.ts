import type { Msg, NatsConnection } from '@nats-io/nats-core';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import type { Journal } from '../../libs/journal/journal.ts';
import type { Clock } from '../../libs/kernel/clock.ts';
import { disposable } from '../../libs/kernel/disposable.ts';
import { HiveError, quote } from '../../libs/kernel/errors.ts';
import { randomId } from '../../libs/kernel/ids.ts';
import type { Call } from '../../libs/protocol/call.ts';
import { encodeLines, eventLines, HEADERS, headerLine, traceLines } from '../../libs/protocol/envelope.ts';
import { leftText, unpacked } from '../../libs/protocol/parcel.ts';
import { describePrincipal, type Principal } from '../../libs/protocol/principal.ts';
import { assignmentSubject, heartbeatSubject } from '../../libs/protocol/subjects.ts';
import { type KeyPair, keyPairFromSeed } from '../../libs/protocol/token.ts';
import { responseSchema } from '../../libs/rpc/schema.ts';
import type {
  AgentHeartbeat,
  Assignment,
  DeregisterAgentRequest,
  LogLine,
  RegisterAgentRequest,
  TaskProgress,
  TaskSpec,
} from '../../libs/wire/hivebus/pool/v1/pool.ts';
import type { SessionOpened } from '../../libs/wire/hivebus/pool/v1/session.ts';
import type { AgentNews, News } from './agent-news.ts';
import type { PoolApi } from './api.ts';
import { currentAttempt } from './core/rows.ts';
import type { PoolShape } from './core/state.ts';
import { SessionLog } from './session-log.ts';
import type { SessionOutbox } from './session-outbox.ts';

export interface SessionAgentDeps {
  readonly nc: NatsConnection;
  readonly journal: Pick<Journal<PoolShape>, 'federation' | 'role' | 'state'>;
  readonly api: PoolApi;
  readonly news: AgentNews;
  readonly clock: Clock;
}

/** As the SDK's agents do: in doubt the pool is asked what the agent has, and so often without a doubt, in milliseconds. */
const COMPARE_MS = 15_000;
/** After a question that could not be answered. */
const ASK_AGAIN_MS = 500;

const ASSIGNMENT = responseSchema('hivebus.pool.v1.Assignment');

/**
 * An agent that is there by a session: this replica stands for it on the bus. It listens where the agent's instance is sent
 * its assignments, publishes its heartbeats with its own token, and its log lines signed with the key of its seed.
 */
export class SessionAgent {
  /** base64url; empty = its lines are not signed. */
  readonly logKey: string;
  readonly #deps: SessionAgentDeps;
  readonly #registration: RegisterAgentRequest;
  readonly #outbox: SessionOutbox;
  readonly #call: () => Call;
  readonly #log: SessionLog;
  readonly #listening: Disposable[] = [];
  #compareDue: Disposable | undefined;
  #comparing = false;
  #compareAgain = false;
  #isRegistered = false;
  #leaving = false;
  #closed = false;

  constructor(
    deps: SessionAgentDeps,
    registration: RegisterAgentRequest,
    logSeed: string,
    outbox: SessionOutbox,
    call: () => Call,
  ) {
    this.#deps = deps;
    this.#registration = registration;
    this.#outbox = outbox;
    this.#call = call;
    const key: KeyPair | undefined = logSeed === '' ? undefined : keyPairFromSeed(Buffer.from(logSeed, 'base64url'));
    this.logKey = key?.publicKey ?? '';
    this.#log = new SessionLog(deps.nc, deps.journal.federation, key, deps.clock);
  }

  /**
   * Listening comes first: an assignment may follow the registration at once. Before it comes who may listen, since whatever
   * is sent to the instance is heard from then on.
   */
  async register(): Promise<Pick<SessionOpened, 'agent' | 'heartbeatMs'>> {
    const { nc, journal, news, api } = this.#deps;
    const { swarm, name, instance } = this.#registration;
    requireOwn(this.#call().principal, swarm, name);
    const subscription = nc.subscribe(assignmentSubject(journal.federation, swarm, name, instance), {
      callback: (error, message) => (error ? undefined : this.#delivered(message)),
    });
    this.#listening.push(disposable(() => subscription.unsubscribe()));
    const { agent, heartbeatMs } = await api.registerAgent(this.#registration, this.#call());
    this.#isRegistered = true;
    if (!this.#closed) this.#listening.push(news.follow(`${swarm}/${name}`, (what) => this.#heard(what)));
    else this.#stopListening();
    // From its first moment on it is known to be there by a session.
    this.beat(journal.state.workers.get(`${swarm}/${name}`)?.busy ?? 0, this.#call().token);
    return agent ? { agent, heartbeatMs } : { heartbeatMs };
  }

  beat(busy: number, token: string, progress: TaskProgress[] = []): void {
    this.#publish({ busy, brokenOff: false, progress }, token);
  }

  #publish(what: Pick<AgentHeartbeat, 'busy' | 'brokenOff' | 'progress'>, token: string): void {
    const { nc, journal, clock } = this.#deps;
    const { swarm, name, instance } = this.#registration;
    const beat: AgentHeartbeat = { swarm, agent: name, instance, bySession: true, ...what };
    const event = { id: randomId(), type: 'hivebus.pool.v1.AgentHeartbeat', source: '/hivebus/pool' };
    const lines =
      eventLines({ ...event, timeMs: clock.now() }) +
      traceLines(this.#call().trace) +
      headerLine(HEADERS.authorization, `Bearer ${token}`);
    const headers = rawHeaders(encodeLines(lines));
    if (!nc.isClosed())
      nc.publish(heartbeatSubject(journal.federation, swarm, name), JSON.stringify(beat), { headers });
  }

  log(lines: readonly LogLine[]): void {
    this.#log.write(lines);
  }

  /** It says that it goes: nobody need ask whether it is still there. */
  leaves({ swarm, name, instance }: DeregisterAgentRequest): void {
    const own = this.#registration;
    this.#leaving ||= swarm === own.swarm && name === own.name && (instance === '' || instance === own.instance);
  }

  /** Says what the agent has; one question at a time, and once more when there was a reason meanwhile. */
  async compare(): Promise<void> {
    this.#compareAgain = true;
    if (this.#comparing) return;
    this.#comparing = true;
    let afterMs = COMPARE_MS;
    while (this.#compareAgain && !this.#closed && !this.#leaving) {
      this.#compareAgain = false;
      afterMs = (await this.#compareOnce()) ? COMPARE_MS : ASK_AGAIN_MS;
    }
    this.#comparing = false;
    this.#compareDue?.[Symbol.dispose]();
    if (!this.#closed) this.#compareDue = this.#deps.clock.after(afterMs, () => void this.compare());
  }

  /**
   * Stands for the agent no more. `brokenOff`: it was the agent that ended its session, so it is not looking for another, and
   * the pool's leader is told to ask for it now.
   */
  close(brokenOff: boolean): void {
    this.#closed = true;
    this.#compareDue?.[Symbol.dispose]();
    this.#stopListening();
    if (brokenOff && this.#isRegistered && !this.#leaving)
      this.#publish({ busy: 0, brokenOff, progress: [] }, this.#call().token);
  }

  #stopListening(): void {
    for (const each of this.#listening.splice(0)) each[Symbol.dispose]();
  }

  /** As an agent on the bus answers: an empty request asks whether it is there. */
  #delivered(message: Msg): void {
    if (!message.reply) return;
    if (message.data.length === 0) return void message.respond();
    const hints = hintsIn(message);
    const left = hints.flatMap((hint, i) => (hint && this.#assign(hint) ? [] : [i]));
    if (left.length < hints.length) message.respond(leftText(left));
  }

  /**
   * What comes here may be anybody's, so it is only a hint: what the agent shall do is taken from the journal. What does not
   * stand there, or not yet, and what shall end, is asked of the leader, who says all that there is.
   */
  #assign(hint: Assignment): boolean {
    const spec = hint.cancel ? undefined : this.#specOf(hint);
    if (spec) return this.#outbox.assign(overSession({ ...hint, spec }), JSON.stringify(spec).length);
    void this.compare();
    return true;
  }

  /** What the attempt shall do, if it is this agent's and goes on, as far as is committed and known here. */
  #specOf({ task: id, attempt }: Assignment): TaskSpec | undefined {
    const { journal } = this.#deps;
    if (journal.role === 'starting' || journal.role === 'stopped') return undefined;
    const task = journal.state.tasks.committed(id);
    const current = task && currentAttempt(task);
    const isOwn = current?.number === attempt && current.instance === this.#registration.instance;
    return isOwn ? task?.spec : undefined;
  }

  #heard({ type, instance, reason }: News): void {
    if (this.#leaving) return;
    const { swarm, name, instance: own } = this.#registration;
    if (type === 'agent.removed') return this.#outbox.fail(removed(swarm, name, reason));
    if (instance !== own && type === 'agent.registered') return this.#outbox.fail(displaced(swarm, name));
    if (instance === own ? type === 'agent.state' : type !== 'agent.registered' && type !== 'agent.state')
      void this.compare();
  }

  /** False when it could not be asked now. */
  async #compareOnce(): Promise<boolean> {
    const { swarm, name, instance } = this.#registration;
    try {
      const { assignments, move, drain } = await this.#deps.api.listAssignments(
        { swarm, agent: name, instance },
        this.#call(),
      );
      const attempts = assignments.map(({ task, attempt, cancel }) => ({ task, attempt, cancel }));
      this.#outbox.inventory({ attempts, epoch: assignments[0]?.epoch ?? '0', move, drain });
      for (const assignment of assignments) {
        if (assignment.spec) this.#outbox.assign(overSession(assignment), JSON.stringify(assignment).length);
      }
      return true;
    } catch (cause) {
      const error = HiveError.from(cause);
      if (error.code === 'ABORTED') this.#outbox.fail(displaced(swarm, name));
      else if (error.code === 'NOT_FOUND' || error.code === 'PERMISSION_DENIED') this.#outbox.fail(error);
      return false;
    }
  }
}

/** By name alone: whose key it is was looked at when the token was. */
function requireOwn(principal: Principal, swarm: string, name: string): void {
  if (principal.kind === 'operator') return;
  const isOfSwarm = (principal.kind === 'swarm' || principal.kind === 'agent') && principal.swarm === swarm;
  if (isOfSwarm && (principal.kind === 'swarm' || principal.name === name)) return;
  const message = `${describePrincipal(principal)} may not be agent ${quote(`${swarm}/${name}`)} in a session`;
  throw new HiveError('PERMISSION_DENIED', message);
}

const displaced = (swarm: string, name: string): HiveError =>
  new HiveError('ABORTED', `another instance took the place of agent ${swarm}/${name}: only one can have the name`, {
    ...{ retryable: false, reason: 'DISPLACED' },
  });

const removed = (swarm: string, name: string, why: string): HiveError =>
  new HiveError('NOT_FOUND', `agent ${swarm}/${name} was removed (${why}): open another session to register it again`, {
    reason: 'AGENT_REMOVED',
  });

/** The assignments in a message; undefined for what is none. */
function hintsIn(message: Msg): readonly (Assignment | undefined)[] {
  const read = (json: unknown) => {
    try {
      return ASSIGNMENT.check(json) as Assignment;
    } catch {
      return undefined;
    }
  };
  try {
    return unpacked(message.data).map(read);
  } catch {
    return [];
  }
}

/** What comes by a session is confirmed before it begins. */
const overSession = (assignment: Assignment): Assignment => ({
  ...assignment,
  atOnce: undefined,
  assignedMs: undefined,
});
