import type { Checks } from '../../../libs/kernel/checks.ts';
import type { TaskTies } from '../../../libs/wire/hivebus/pool/v1/group.ts';

const MAX_TIES = 32;

/** What ties a task to others, at `spec.ties` of the request. */
export function checkTies(checks: Checks, { after, group, phase, vote }: TaskTies): void {
  checks.list(
    'spec.ties.after',
    after.map(({ task }) => task),
    MAX_TIES,
    (at, task) => checks.name(`${at}.task`, task),
  );
  checks.nameOrEmpty('spec.ties.group', group);
  checks.nameOrEmpty('spec.ties.phase', phase);
  checks.rule(phase === '' || group !== '', 'spec.ties.phase', phase, 'must be empty without a group');
  checks.rule(vote === 0, 'spec.ties.vote', vote, 'must be 0: the pool sets it');
}
