import type { Journal } from '../../libs/journal/journal.ts';
import type { PoolShape } from './core/state.ts';

/** What was committed of an agent. */
const MOVED = 'it has moved to another swarm';

export interface News {
  readonly type:
    | 'agent.registered'
    | 'agent.state'
    | 'agent.draining'
    | 'agent.drained'
    | 'agent.resumed'
    | 'agent.removed';
  /** Whose it is; empty = of whichever there was. */
  readonly instance: string;
  /** For people. */
  readonly reason: string;
}

type Listener = (news: News) => void;

/** What happens to single agents, for whoever stands for one on this replica: one look at each event, however many they are. */
export class AgentNews implements Disposable {
  readonly #listeners = new Map<string, Set<Listener>>();
  readonly #following: Disposable;

  constructor(journal: Pick<Journal<PoolShape>, 'onCommitted'>) {
    this.#following = journal.onCommitted(({ events }) => {
      if (this.#listeners.size === 0) return;
      for (const { type, data } of events) {
        if (type === 'agent.registered') {
          const { swarm = '', name = '', instance = '' } = data.agent ?? {};
          this.#tell(`${swarm}/${name}`, { type, instance, reason: '' });
        } else if (type === 'agent.state') this.#tell(data.agent, { type, ...data });
        else if (type === 'agent.draining' || type === 'agent.drained' || type === 'agent.resumed')
          this.#tell(data.agent, { type, instance: '', reason: '' });
        else if (type === 'agent.removed') this.#tell(data.agent, { type, instance: '', reason: data.reason });
        else if (type === 'agent.migrated')
          this.#tell(data.from, { type: 'agent.removed', instance: '', reason: MOVED });
      }
    });
  }

  /** `agent`: as `swarm/name`. */
  follow(agent: string, listener: Listener): Disposable {
    const own = this.#listeners.get(agent) ?? new Set();
    this.#listeners.set(agent, own.add(listener));
    return {
      [Symbol.dispose]: () => {
        own.delete(listener);
        if (own.size === 0 && this.#listeners.get(agent) === own) this.#listeners.delete(agent);
      },
    };
  }

  [Symbol.dispose](): void {
    this.#following[Symbol.dispose]();
  }

  #tell(agent: string, { type, instance, reason }: News): void {
    for (const listener of this.#listeners.get(agent) ?? []) listener({ type, instance, reason });
  }
}
