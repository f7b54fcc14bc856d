/** Who is calling. Ownership, leases, votes and grants rest on it. */
export type Principal =
  /** No token was sent: may read, never write. */
  | { readonly kind: 'anonymous' }
  /** A service of Hivebus itself: its ticks, effects and observations. Never comes from outside. */
  | { readonly kind: 'service'; readonly name: string }
  /** Somebody who runs the federation: may do all. */
  | { readonly kind: 'operator'; readonly name: string; readonly key: string }
  /**
   * A swarm's queen, by the key that owns (or asks for) the swarm's name. `publicKey` (base64url of its 32 bytes) is
   * there when the token carried it: a first registration binds the name to it.
   */
  | { readonly kind: 'swarm'; readonly swarm: string; readonly key: string; readonly publicKey?: string }
  /** One agent of a swarm; its token is signed by the swarm's key. */
  | { readonly kind: 'agent'; readonly swarm: string; readonly name: string; readonly key: string };

export const ANONYMOUS: Principal = { kind: 'anonymous' };

/** `operator:ada`, `swarm:code`, `agent:code/lint-1`, `service:pool`, `anonymous`: in records, logs and errors. */
export function describePrincipal(principal: Principal): string {
  switch (principal.kind) {
    case 'anonymous':
      return 'anonymous';
    case 'service':
    case 'operator':
      return `${principal.kind}:${principal.name}`;
    case 'swarm':
      return `swarm:${principal.swarm}`;
    case 'agent':
      return `agent:${principal.swarm}/${principal.name}`;
  }
}
