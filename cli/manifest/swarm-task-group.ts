import { counted } from '../../libs/kernel/counted.ts';
import { HiveError, quote } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type { TaskGroupManifest } from '../../libs/wire/hivebus/manifest/v1/manifest.ts';
import type { SubmitGroupRequest } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { word } from '../values.ts';
import { changesBetween } from './changes.ts';
import type { Document } from './document.ts';
import type { Fault } from './faults.ts';
import { type Defaults, type Outcome, type Planned, swarmOf } from './planned.ts';
import { taskSpecOf, writtenAt } from './swarm-task.ts';

type Content = Pick<SubmitGroupRequest, 'spec' | 'tasks'>;

/** A SwarmTaskGroup as it is submitted. */
export function planGroup(
  document: Document,
  name: string,
  given: object,
  defaults: Defaults,
  faults: Fault[],
): Planned {
  const { clusterRef, title, tasks, ...rest } = given as TaskGroupManifest;
  const cluster = clusterRef || (defaults.swarm ?? '');
  if (cluster === '') {
    document.fault(faults, 'spec.clusterRef', 'must be given, here or for all manifests by --swarm');
  }
  const members = tasks.map((task, i) => {
    const at = `spec.tasks[${i}].spec`;
    if (!task.spec) document.fault(faults, `spec.tasks[${i}].spec`, 'must be given');
    if (task.spec?.clusterRef) document.fault(faults, `${at}.clusterRef`, "is the group's; leave it out");
    if (task.spec?.group) document.fault(faults, `${at}.group`, 'is this group; leave it out');
    const { labels: _, ...spec } = taskSpecOf(
      document,
      task.name,
      task.spec ?? {},
      { ...defaults, swarm: '' },
      faults,
      at,
    );
    if (spec.type === '') document.fault(faults, `${at}.type`, 'must be given, here or for all manifests by --type');
    return { name: task.name, spec: { ...spec, labels: {} } };
  });
  const spec = { ...rest, swarm: '', title: title || (writtenAt(document, 'spec.title') === '' ? '' : name) };
  return {
    document,
    name,
    kind: 'group',
    pathOf: (field) => manifestPath(field),
    apply: async (hive, dryRun) => {
      const swarm = await swarmOf(hive, cluster);
      return submit(hive, name, { spec: { ...spec, swarm }, tasks: members }, dryRun);
    },
  };
}

/** The manifest's path of a field of the request. */
function manifestPath(field: string): string {
  if (field === 'id') return 'metadata.name';
  if (field === 'spec.swarm') return 'spec.clusterRef';
  const inTask = /^(tasks\[\d+\])\.(.*)$/.exec(field);
  if (!inTask) return field;
  const rest = (inTask[2] ?? '')
    .replace(/^spec\.ties\.after\[(\d+)\]\.task$/, 'spec.after[$1]')
    .replace(/^spec\.ties\./, 'spec.')
    .replace(/^spec\.script$/, 'spec.task')
    .replace(/^spec\.timeoutMs$/, 'spec.timeout');
  return `spec.${inTask[1]}.${rest}`;
}

async function submit(hive: Hive, id: string, content: Content, dryRun: boolean): Promise<Outcome> {
  try {
    const { group, created, tasks } = await hive.pool.submitGroup({ id, ...content, dryRun, idempotent: true });
    const changes = created && dryRun ? changesBetween('spec', undefined, group?.spec) : [];
    const state = word(group?.state ?? 'GROUP_STATE_UNSPECIFIED', 'GROUP_STATE');
    const note = created ? counted(tasks.length, 'task') : state;
    return { change: created ? 'created' : 'unchanged', changes, note };
  } catch (error) {
    if (!(error instanceof HiveError) || error.reason !== 'OTHER_SPEC') throw error;
    const message = `group ${quote(id)} exists with another content, and a group cannot be changed; choose another name`;
    throw new HiveError(error.code, message, { cause: error, reason: 'OTHER_SPEC' });
  }
}
