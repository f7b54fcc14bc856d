import type { LendingChange, Placement, TaskSpec, Unblocker } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { selectorOptions } from '../selector.ts';
import { shellWord } from '../values.ts';

/** What somebody is looked for, for. */
export type Wanted = Pick<TaskSpec, 'swarm' | 'type' | 'capabilities' | 'selector'>;

/** The calls that bring it about, or say of a request why it waits, in their order; empty = none does. */
export function callsFor(unblocker: Unblocker, { conditions }: Placement, wanted: Wanted | undefined): string[] {
  const { kind, swarm, lending, request } = unblocker;
  if (request) return [`hivebus explain ${shellWord(request)}`];
  const labels = conditions.filter(({ name }) => name === 'label').map(({ value }) => value);
  const borrows = wanted ? [borrowCall(wanted, labels)] : [];
  if (lending) return [lendingCall(swarm, lending), ...(lending.thenBorrow ? borrows : [])];
  const [drained] = conditions.find(({ name }) => name === 'drained')?.examples ?? [];
  if (kind === 'resume' && drained) return [`hivebus agent resume ${drained}`];
  return kind === 'borrow' ? borrows : [];
}

/** `labels`: those that its agent must have, which may be more than were asked for: where its volumes are is one. */
function borrowCall({ swarm, type, capabilities, selector }: Wanted, labels: readonly string[]): string {
  const able = capabilities.map((name) => `--capability ${shellWord(name)}`);
  const asked = selectorOptions(selector);
  const further = labels
    .map((label) => `--agent-label ${shellWord(label)}`)
    .filter((option) => !asked.includes(option));
  const options = [`--swarm ${shellWord(swarm)}`, `--type ${shellWord(type)}`, ...able, ...asked, ...further];
  return ['hivebus request-resource', ...options].join(' ');
}

/**
 * `--to` says the whole list, which may have changed since it was read: the version sees to it that nobody is taken off
 * the list unseen. The other options say less than a list and are right whatever the rest is.
 */
function lendingCall(swarm: string, change: LendingChange): string {
  const options = change.parts.flatMap((part) => LENDING_OPTIONS[part]?.(change) ?? []);
  const safe = change.parts.includes('lend-to') ? [`--if-version ${change.version}`] : [];
  return ['hivebus set lending', shellWord(swarm), ...options, ...safe].join(' ');
}

const LENDING_OPTIONS: Readonly<Partial<Record<string, (change: LendingChange) => string>>> = {
  open: () => '--open',
  'lend-to': ({ to }) => `--to ${shellWord(to.join())}`,
  'lend-more': ({ maxLent }) => `--max-lent ${maxLent}`,
  'keep-less': ({ keepPercent }) => `--keep ${keepPercent}`,
};
