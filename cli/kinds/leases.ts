import type { Lease } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { facts } from '../output.ts';
import { allLeases } from '../queries.ts';
import { stateText } from '../render.ts';
import { ago, between } from '../values.ts';
import { type Kind, named, present } from './kind.ts';

const endsText = (lease: Lease): string =>
  lease.expiresAt && lease.state === 'LEASE_STATE_ACTIVE'
    ? `in ${between(new Date().toISOString(), lease.expiresAt)}`
    : '-';

export const LEASES: Kind<Lease> = {
  name: 'lease',
  plural: 'leases',
  aliases: ['le'],
  what: 'agents that are lent to another swarm',
  service: 'pool',
  none: 'nothing is lent',
  filters: ['swarm', 'all'],
  columns: [
    { title: 'LEASE', of: ({ id }) => id },
    { title: 'AGENT', of: ({ agent }) => agent },
    { title: 'BORROWER', of: ({ borrower }) => borrower },
    { title: 'STATE', of: ({ state }) => stateText(state, 'LEASE_STATE') },
    { title: 'ENDS', of: endsText },
    { title: 'TERM', of: ({ termMs }) => `${termMs / 1000}s` },
  ],
  nameOf: ({ id }) => id,
  list: (hive, { swarm = '', all = false }) => allLeases(hive, { swarm, includeEnded: all }),
  get: async (hive, name) => {
    const all = await allLeases(hive, { includeEnded: true });
    return present(
      all.find(({ id }) => id === name),
      'lease',
      name,
    );
  },
  details: (lease) =>
    facts([
      ['lease', lease.id],
      ['state', stateText(lease.state, 'LEASE_STATE')],
      ['agent', lease.agent],
      ['lender', lease.lender],
      ['borrower', lease.borrower],
      ['term', `${lease.termMs / 1000}s`],
      ['ends', lease.endedAt ? `ended ${ago(lease.endedAt)}` : endsText(lease)],
      ['reason', lease.reason],
      ['granted', ago(lease.grantedAt)],
      ['revision', lease.revision],
    ]),
  swarmsOf: ({ lender, borrower }) => [lender, borrower],
  touched: (event) => (event.type === 'lease.forgotten' ? (event.data?.leases ?? []) : named('lease', 'lease')(event)),
  remove: {
    means: 'the agent goes home; what it runs for the borrower is finished first',
    run: async (hive, name) => {
      const { lease } = await hive.pool.releaseLease({ lease: name });
      return `lease ${name} is ${lease?.state === 'LEASE_STATE_DRAINING' ? 'draining' : 'ended'}`;
    },
  },
};
