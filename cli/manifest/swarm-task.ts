import { parseDuration } from '../../libs/kernel/durations.ts';
import { HiveError, quote } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import type {
  TaskLimitsManifest,
  TaskManifest,
  TaskRetryManifest,
} from '../../libs/wire/hivebus/manifest/v1/manifest.ts';
import type { RetryPolicy, Task, TaskSpec, TaskTimeLimits } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { tiesOf } from '../ties.ts';
import { word } from '../values.ts';
import { changeLines, changesBetween } from './changes.ts';
import { type Document, segments } from './document.ts';
import type { Fault } from './faults.ts';
import { type Defaults, type Outcome, orNone, type Planned, swarmOf } from './planned.ts';

/** The request's fields whose names differ from the manifest's. */
const PATHS: Readonly<Record<string, string>> = {
  id: 'metadata.name',
  'spec.script': 'spec.task',
  'spec.swarm': 'spec.clusterRef',
  'spec.timeoutMs': 'spec.timeout',
  'spec.labels': 'metadata.labels',
  'spec.continuity': 'spec.resume',
  'spec.volumes.names': 'spec.persistentVolumes',
  'spec.retry.backoffMs': 'spec.retry.backoff',
  'spec.retry.maxBackoffMs': 'spec.retry.maxBackoff',
  'spec.limits.queuedMs': 'spec.limits.queued',
  'spec.limits.totalMs': 'spec.limits.total',
  'spec.ties.group': 'spec.group',
  'spec.ties.phase': 'spec.phase',
};

/** What is left out is empty, 0 or, of swarm and type, as `defaults` say. `at`: where the spec stands in the document. */
export function taskSpecOf(
  document: Document,
  name: string,
  given: object,
  defaults: Defaults,
  faults: Fault[],
  at = 'spec',
): TaskSpec {
  const spec = given as TaskManifest;
  const { retry, limits, selector } = spec;
  const msOf = (path: string, text: string): number => {
    const ms = text === '' ? 0 : parseDuration(text);
    if (ms === undefined) document.fault(faults, path, `${quote(text)} must be a duration such as 30s, 5m or 2h`);
    return Math.round(ms ?? 0);
  };
  const timeoutMs = msOf(`${at}.timeout`, spec.timeout);
  // `payload: null` says that there is nothing to read, which is what a task has that was submitted with neither.
  const isEmpty = spec.task === '' && writtenAt(document, `${at}.payload`) === null;
  if (!isEmpty && (spec.task === '') === (spec.payload === undefined)) {
    document.fault(faults, `${at}.task`, 'a script here, or a payload, must be given, and not both');
  }
  return {
    swarm: spec.clusterRef || (defaults.swarm ?? ''),
    type: spec.type || (defaults.type ?? ''),
    capabilities: spec.capabilities,
    payload: spec.payload ?? undefined,
    script: spec.task,
    timeoutMs,
    maxAttempts: spec.maxAttempts,
    priority: spec.priority,
    labels: document.manifest.metadata?.labels ?? {},
    title: spec.title || (writtenAt(document, `${at}.title`) === '' ? '' : name),
    ...(spec.persistentVolumes.length > 0 && { volumes: { names: spec.persistentVolumes.map(({ name }) => name) } }),
    ...tiesOf({ ...spec, onFailure: spec.onDependencyFailure }),
    ...(spec.resume || spec.claim ? { continuity: { resume: spec.resume, claim: spec.claim } } : {}),
    ...(spec.budget ? { budget: spec.budget } : {}),
    ...(selector ? { selector } : {}),
    ...(retry ? { retry: retryOf(retry, msOf) } : {}),
    ...(limits ? { limits: limitsOf(limits, msOf) } : {}),
  };
}

/** What stands in the document itself: a message does not tell what is empty from what was left out. */
export function writtenAt(document: Document, path: string): unknown {
  const parts = segments(path).slice(1);
  return parts.reduce<unknown>(
    (part, name) => (part as Record<string, unknown> | undefined)?.[name],
    document.manifest.spec,
  );
}

type MsOf = (path: string, text: string) => number;

const retryOf = ({ backoff, maxBackoff }: TaskRetryManifest, msOf: MsOf): RetryPolicy => ({
  backoffMs: msOf('spec.retry.backoff', backoff),
  maxBackoffMs: msOf('spec.retry.maxBackoff', maxBackoff),
});

const limitsOf = ({ queued, total }: TaskLimitsManifest, msOf: MsOf): TaskTimeLimits => ({
  queuedMs: msOf('spec.limits.queued', queued),
  totalMs: msOf('spec.limits.total', total),
});

export function planTask(
  document: Document,
  name: string,
  given: object,
  defaults: Defaults,
  faults: Fault[],
): Planned {
  const spec = taskSpecOf(document, name, given, defaults, faults);
  if (spec.swarm === '') {
    document.fault(faults, 'spec.clusterRef', 'must be given, here or for all manifests by --swarm');
  }
  if (spec.type === '') document.fault(faults, 'spec.type', 'must be given, here or for all manifests by --type');
  return {
    document,
    name,
    kind: 'task',
    after: spec.ties?.after.map(({ task }) => task) ?? [],
    pathOf: (field) => PATHS[field] ?? field.replace(/^spec\.ties\.after\[(\d+)\]\.task$/, 'spec.after[$1]'),
    apply: async (hive, dryRun, together) => {
      const swarm = await swarmOf(hive, spec.swarm);
      return submit(hive, name, { ...spec, swarm }, dryRun, together);
    },
  };
}

/** Of a dry run: what is to be submitted with it need not be there yet. */
function tried(spec: TaskSpec, together: ReadonlySet<string>): TaskSpec {
  const { ties } = spec;
  return ties ? { ...spec, ties: { ...ties, after: ties.after.filter(({ task }) => !together.has(task)) } } : spec;
}

async function submit(
  hive: Hive,
  id: string,
  given: TaskSpec,
  dryRun: boolean,
  together: ReadonlySet<string>,
): Promise<Outcome> {
  const isThere = dryRun && (await orNone(hive.pool.getTask({ id }))) !== undefined;
  const spec = dryRun && !isThere ? tried(given, together) : given;
  try {
    const { task, created, agent } = await hive.pool.submitTask({ id, spec, dryRun, idempotent: true });
    const changes = created && dryRun ? changesBetween('spec', undefined, task?.spec) : [];
    return { change: created ? 'created' : 'unchanged', changes, note: noteOf(task, created, agent, dryRun) };
  } catch (error) {
    if (!(error instanceof HiveError) || error.reason !== 'OTHER_SPEC') throw error;
    const stored = (await orNone(hive.pool.getTask({ id })))?.task;
    const wanted = {
      ...spec,
      timeoutMs: spec.timeoutMs || stored?.spec?.timeoutMs,
      maxAttempts: spec.maxAttempts || stored?.spec?.maxAttempts,
    };
    // A task that was submitted without a title has none, and a manifest cannot say so: its name is the title then.
    const isNamed = stored?.spec?.title === '' && spec.title === id;
    const changes = changesBetween('spec', stored?.spec, isNamed ? { ...wanted, title: '' } : wanted);
    if (changes.length === 0) return { change: 'unchanged', changes, note: noteOf(stored, false, '', dryRun) };
    const lines = changeLines(changes);
    const message = `task ${quote(id)} exists with another spec, and a task cannot be changed; choose another name:\n    ${lines.join('\n    ')}`;
    throw new HiveError(error.code, message, { cause: error, reason: 'OTHER_SPEC' });
  }
}

function noteOf(task: Task | undefined, created: boolean, agent: string, dryRun: boolean): string {
  if (!created) return word(task?.state ?? 'TASK_STATE_UNSPECIFIED', 'TASK_STATE');
  if (!dryRun) return '';
  return agent === '' ? 'would wait for an agent' : `would go to ${agent}`;
}
