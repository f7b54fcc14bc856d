import { formatDuration } from '../../libs/kernel/durations.ts';
import type { Federation } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { facts } from '../output.ts';
import { ago, word } from '../values.ts';
import { type Kind, named, present } from './kind.ts';

const joinText = ({ joinPolicy }: Federation): string => word(joinPolicy, 'JOIN_POLICY');
const removalText = ({ removeAfterMs }: Federation): string =>
  removeAfterMs === 0 ? 'never' : `after ${formatDuration(removeAfterMs)}`;

export const FEDERATIONS: Kind<Federation> = {
  name: 'federation',
  plural: 'federations',
  aliases: ['fed', 'feds'],
  what: 'groups of swarms that work together',
  service: 'registry',
  none: 'there are no federations',
  filters: [],
  columns: [
    { title: 'FEDERATION', of: ({ name }) => name },
    { title: 'JOIN', of: joinText },
    { title: 'REMOVES', of: removalText },
    { title: 'CREATED', of: ({ createdAt }) => ago(createdAt) },
    { title: 'DESCRIPTION', of: ({ description }) => description || '-' },
  ],
  nameOf: ({ name }) => name,
  list: async (hive) => (await hive.registry.listFederations({})).federations,
  get: async (hive, name) => present((await hive.registry.getFederation({ name })).federation, 'federation', name),
  details: (federation) =>
    facts([
      ['federation', federation.name],
      ['description', federation.description],
      ['who may join', joinText(federation)],
      ['removes the silent', removalText(federation)],
      ['created', ago(federation.createdAt)],
      ['revision', federation.revision],
    ]),
  swarmsOf: () => [],
  touched: named('federation', 'name'),
};
