import type { MigrationState } from '../../../libs/wire/hivebus/pool/v1/pool.ts';

/** What can happen to a migration; each is brought about by one type of event. */
type Step = 'propose' | 'agree' | 'drained' | 'arrive' | 'cancel';

/**
 * A migration's life. What is not listed cannot happen.
 *
 *     ──propose──► PROPOSED ──agree──► DRAINING ──drained──► TRANSFERRING ──arrive──► ACTIVE
 *                     │                   │                       │
 *                     └──────cancel───────┴───────────────────────┴──► CANCELLED
 */
const TRANSITIONS: Readonly<Record<MigrationState, Readonly<Partial<Record<Step, MigrationState>>>>> = {
  MIGRATION_STATE_UNSPECIFIED: { propose: 'MIGRATION_STATE_PROPOSED' },
  MIGRATION_STATE_PROPOSED: {
    propose: 'MIGRATION_STATE_PROPOSED',
    agree: 'MIGRATION_STATE_DRAINING',
    cancel: 'MIGRATION_STATE_CANCELLED',
  },
  MIGRATION_STATE_DRAINING: { drained: 'MIGRATION_STATE_TRANSFERRING', cancel: 'MIGRATION_STATE_CANCELLED' },
  MIGRATION_STATE_TRANSFERRING: { arrive: 'MIGRATION_STATE_ACTIVE', cancel: 'MIGRATION_STATE_CANCELLED' },
  MIGRATION_STATE_ACTIVE: {},
  MIGRATION_STATE_CANCELLED: {},
};

/** The state that a step leads to; undefined when the step is not possible. */
export const nextState = (state: MigrationState, step: Step): MigrationState | undefined => TRANSITIONS[state][step];
