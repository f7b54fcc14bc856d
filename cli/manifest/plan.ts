import { quote } from '../../libs/kernel/errors.ts';
import { isName, NAME_RULE } from '../../libs/kernel/names.ts';
import { nearest } from '../../libs/kernel/nearest.ts';
import { checkAgentSpec } from '../../services/registry/agent-spec.ts';
import { checkClusterSpec } from '../../services/registry/cluster-spec.ts';
import { type Document, parseDocuments } from './document.ts';
import type { Fault } from './faults.ts';
import { type Rules, readSpec } from './meaning.ts';
import { inOrder } from './order.ts';
import type { Defaults, Planned } from './planned.ts';
import type { Source } from './sources.ts';
import { planAgent, withModels } from './swarm-agent.ts';
import { planCluster } from './swarm-cluster.ts';
import { refuseMemory } from './swarm-memory.ts';
import { planTask } from './swarm-task.ts';
import { planGroup } from './swarm-task-group.ts';
import { withPolicy, withWords } from './words.ts';

export const API_VERSION = 'swarm.claudeflow.io/v1alpha1';

interface ManifestKind {
  /** The message whose JSON form its `spec` has. */
  readonly specType: string;
  /** The rules of its service, where they need nothing but the spec. */
  readonly rules?: Rules;
  /** What people may write shorter. */
  readonly widen?: (spec: object) => object;
  readonly plan: (
    document: Document,
    name: string,
    spec: object,
    defaults: Defaults,
    faults: Fault[],
  ) => Planned | undefined;
}

const KINDS: Readonly<Record<string, ManifestKind>> = {
  SwarmCluster: { specType: 'hivebus.registry.v1.ClusterSpec', rules: checkClusterSpec, plan: planCluster },
  SwarmAgent: { specType: 'hivebus.registry.v1.AgentSpec', rules: checkAgentSpec, widen: withModels, plan: planAgent },
  SwarmTask: { specType: 'hivebus.manifest.v1.TaskManifest', widen: withPolicy, plan: planTask },
  SwarmTaskGroup: { specType: 'hivebus.manifest.v1.TaskGroupManifest', widen: withWords, plan: planGroup },
  SwarmMemory: {
    specType: 'hivebus.manifest.v1.MemoryManifest',
    plan: (document, _, spec, defaults, faults) => {
      refuseMemory(document, spec, defaults, faults);
      return undefined;
    },
  },
};

/**
 * What the documents of all sources ask for, in their order. Everything that can be known without a service is checked,
 * and every fault of every document goes to `faults`: only when there is none may anything be applied.
 */
export function planAll(sources: readonly Source[], defaults: Defaults, faults: Fault[]): Planned[] {
  const planned = sources
    .flatMap((source) => parseDocuments(source, faults))
    .flatMap((document) => plan(document, defaults, faults) ?? []);
  const first = new Map<string, Document>();
  for (const { document, kind, name } of planned) {
    const before = first.get(`${kind}/${name}`);
    if (before) document.fault(faults, 'metadata.name', `${quote(name)} is there twice, in ${before.file} too`);
    else first.set(`${kind}/${name}`, document);
  }
  return inOrder(planned, faults);
}

function plan(document: Document, defaults: Defaults, faults: Fault[]): Planned | undefined {
  const before = faults.length;
  const known = openEnvelope(document, faults);
  if (!known) return undefined;
  const given = document.manifest.spec ?? {};
  const spec = readSpec(known.specType, known.rules, known.widen?.(given) ?? given, document, faults);
  if (!spec) return undefined;
  const planned = known.plan(document, document.manifest.metadata?.name ?? '', spec, defaults, faults);
  return faults.length === before ? planned : undefined;
}

/** The document's kind; its faults beside `spec` are told. */
export function openEnvelope(document: Document, faults: Fault[]): ManifestKind | undefined {
  const { apiVersion, kind, metadata } = document.manifest;
  if (apiVersion !== API_VERSION) {
    document.fault(faults, 'apiVersion', `${quote(apiVersion)} must be ${API_VERSION}`);
  }
  const name = metadata?.name ?? '';
  if (!isName(name)) document.fault(faults, 'metadata.name', `${quote(name)} ${NAME_RULE}`);
  if (kind !== 'SwarmTask' && Object.keys(metadata?.labels ?? {}).length > 0) {
    document.fault(faults, 'metadata.labels', 'are kept of a SwarmTask only; leave them out');
  }
  const known = Object.hasOwn(KINDS, kind) ? KINDS[kind] : undefined;
  if (known) return known;
  const names = Object.keys(KINDS);
  const close = nearest(kind, names);
  document.fault(
    faults,
    'kind',
    `${quote(kind)} is not known; ${close ? `did you mean ${close}?` : `it must be ${names.join(', ')}`}`,
  );
  return undefined;
}
