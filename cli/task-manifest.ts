import { isAlias, LineCounter, parseDocument } from 'yaml';
import { invalid, quote, type Violation } from '../libs/kernel/errors.ts';
import { isName, NAME_RULE } from '../libs/kernel/names.ts';

/** What a manifest of kind SwarmTask says of a task. What it leaves out, options say. */
export interface TaskManifest {
  readonly title: string;
  readonly script: string;
  readonly swarm: string | undefined;
  readonly type: string | undefined;
}

const API_VERSION = 'swarm.claudeflow.io/v1alpha1';
const SPEC_FIELDS = ['task', 'clusterRef', 'type'];
const NOT_YET = ['resume', 'persistentVolumes'];

/** Reads one SwarmTask in YAML; INVALID_ARGUMENT with every fault at once. */
export function parseTaskManifest(text: string): TaskManifest {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines });
  const [fault] = document.errors;
  if (fault) {
    const { line } = lines.linePos(fault.pos[0]);
    throw invalid([{ field: `line ${line}`, value: quote(fault.code), rule: fault.message.split('\n')[0] ?? '' }]);
  }
  const manifest = isAlias(document.contents) ? {} : (document.toJS() ?? {});
  const { apiVersion, kind, metadata, spec } = manifest as Record<string, unknown>;
  const faults: Violation[] = [];
  const must = (holds: boolean, field: string, value: unknown, rule: string) => {
    if (!holds) faults.push({ field, value: quote(value), rule });
  };
  const { name } = record(metadata);
  const { task, clusterRef, type } = record(spec);
  must(apiVersion === API_VERSION, 'apiVersion', apiVersion, `must be ${API_VERSION}`);
  must(kind === 'SwarmTask', 'kind', kind, 'must be SwarmTask');
  must(isName(name), 'metadata.name', name, NAME_RULE);
  must(typeof task === 'string' && task !== '', 'spec.task', task, 'must be a shell script');
  must(clusterRef === undefined || isName(clusterRef), 'spec.clusterRef', clusterRef, NAME_RULE);
  must(type === undefined || isName(type), 'spec.type', type, NAME_RULE);
  for (const [field, value] of Object.entries(record(spec))) {
    if (NOT_YET.includes(field)) must(false, `spec.${field}`, value, 'is not supported yet; leave it out');
    else must(SPEC_FIELDS.includes(field), `spec.${field}`, value, `is not known; known are ${SPEC_FIELDS.join(', ')}`);
  }
  if (faults.length > 0) throw invalid(faults);
  const [swarm, agentType] = [clusterRef, type] as [string | undefined, string | undefined];
  return { title: name as string, script: task as string, swarm, type: agentType };
}

const record = (value: unknown): Record<string, unknown> =>
  typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
