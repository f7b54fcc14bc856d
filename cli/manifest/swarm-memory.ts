import { Checks } from '../../libs/kernel/checks.ts';
import { isName, NAME_RULE } from '../../libs/kernel/names.ts';
import type { MemoryManifest } from '../../libs/wire/hivebus/manifest/v1/manifest.ts';
import { type Document, tell } from './document.ts';
import type { Fault } from './faults.ts';
import type { Defaults } from './planned.ts';

const MAX_VALUE_BYTES = 256 * 1024;

/** Checks all that can be said of an entry of shared memory, and refuses it: there is no service yet that keeps it. */
export function refuseMemory(document: Document, given: object, defaults: Defaults, faults: Fault[]): void {
  const spec = given as MemoryManifest;
  const checks = new Checks('spec.');
  const ref = spec.clusterRef || (defaults.swarm ?? '');
  checks.rule(isName(ref), 'clusterRef', spec.clusterRef, `${NAME_RULE}, here or by --swarm`);
  const wellNamed = spec.namespace.split('.').every(isName);
  checks.rule(wellNamed, 'namespace', spec.namespace, `each part between dots ${NAME_RULE}`);
  checks.nameOrEmpty('type', spec.type);
  checks.rule(spec.key !== '', 'key', spec.key, 'must not be empty');
  checks.text('key', spec.key, 256);
  const bytes = Buffer.byteLength(spec.value);
  checks.rule(bytes <= MAX_VALUE_BYTES, 'value', bytes, `is its size in bytes and must be at most ${MAX_VALUE_BYTES}`);
  checks.range('priority', spec.priority, 0, 1000);
  checks.names('sharedWith', spec.sharedWith);
  for (const violation of checks.found) tell(document, faults, '', violation);
  const text = 'SwarmMemory is understood, but there is no memory service yet that could keep it; leave it out';
  document.fault(faults, 'kind', text, 'UNIMPLEMENTED');
}
