import { describePrincipal, type Principal } from '../protocol/principal.ts';
import { sessionKey } from './sessions.ts';

/**
 * Who asks, in the words of records and sessions. A crowd of commands is of few callers, one after the other, so the last
 * name and the last key are remembered: making them, and looking up by a text that is new, costs as much as a check.
 */
export class Callers {
  #principal: Principal | undefined;
  #name = '';
  #client: string | undefined;
  #session = '';

  /** E.g. `swarm:code`. */
  nameOf(principal: Principal): string {
    if (principal !== this.#principal) {
      this.#principal = principal;
      this.#name = describePrincipal(principal);
      this.#client = undefined;
    }
    return this.#name;
  }

  /** Where answers to a client of a principal are kept, see `sessionKey`. */
  sessionOf(principal: Principal, client: string): string {
    const name = this.nameOf(principal);
    if (client !== this.#client) {
      this.#client = client;
      this.#session = sessionKey(name, client);
    }
    return this.#session;
  }
}
