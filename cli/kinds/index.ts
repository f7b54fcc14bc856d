import { invalid, quote } from '../../libs/kernel/errors.ts';
import { nearest } from '../../libs/kernel/nearest.ts';
import { AGENTS } from './agents.ts';
import { CLUSTERS } from './clusters.ts';
import { FEDERATIONS } from './federations.ts';
import { GROUPS } from './groups.ts';
import type { Kind } from './kind.ts';
import { LEASES } from './leases.ts';
import { LENDING } from './lending.ts';
import { LIMITS } from './limits.ts';
import { POLICIES } from './policies.ts';
import { REQUESTS } from './requests.ts';
import { SWARM_AGENTS } from './swarm-agents.ts';
import { SWARMS } from './swarms.ts';
import { TASKS } from './tasks.ts';

/** Every kind, in the order in which `get all` shows them. */
export const KINDS: readonly Kind<unknown>[] = [
  FEDERATIONS,
  CLUSTERS,
  SWARM_AGENTS,
  SWARMS,
  AGENTS,
  LEASES,
  REQUESTS,
  GROUPS,
  TASKS,
  POLICIES,
  LIMITS,
  LENDING,
] as const;

const namesOf = ({ name, plural, aliases }: Kind<unknown>): string[] => [name, plural, ...aliases];

/** The kind that is called `text`: singular, plural or an alias, in any case. INVALID_ARGUMENT says what was meant. */
export function kindNamed(text: string): Kind<unknown> {
  const found = findKind(text);
  if (found) return found;
  // Short aliases are near to any short word.
  const close = nearest(
    text,
    KINDS.flatMap(({ name, plural }) => [name, plural]),
  );
  const rule = close ? `is no kind; did you mean ${close}?` : `is no kind; there are ${pluralsOf(KINDS)}`;
  throw invalid([{ field: 'kind', value: quote(text), rule }]);
}

/** The same; undefined when there is none. */
export const findKind = (text: string): Kind<unknown> | undefined =>
  KINDS.find((kind) => namesOf(kind).includes(text.toLowerCase()));

export const pluralsOf = (kinds: readonly Kind<unknown>[]): string => kinds.map(({ plural }) => plural).join(', ');

/** What was asked for: some kinds, and of one of them some names. */
export interface Asked {
  readonly kinds: readonly Kind<unknown>[];
  readonly names: readonly string[];
}

/** `KIND`, `KIND,KIND`, `all`, `KIND NAME…` or `KIND/NAME`. */
export function parseAsked(what: string, names: readonly string[]): Asked {
  const slash = what.indexOf('/');
  if (slash > 0) {
    return { kinds: [kindNamed(what.slice(0, slash))], names: [what.slice(slash + 1), ...names] };
  }
  if (what === 'all') return refuseNames(KINDS, names);
  const kinds = what
    .split(',')
    .filter((part) => part !== '')
    .map(kindNamed);
  return kinds.length === 1 ? { kinds, names } : refuseNames(kinds, names);
}

function refuseNames(kinds: readonly Kind<unknown>[], names: readonly string[]): Asked {
  if (names.length === 0) return { kinds, names };
  throw invalid([{ field: 'name', value: quote(names[0]), rule: 'needs a single kind before it' }]);
}
