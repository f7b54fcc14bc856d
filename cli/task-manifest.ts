import type { TaskSpec } from '../libs/wire/hivebus/pool/v1/pool.ts';
import { checked, parseDocuments } from './manifest/document.ts';
import { type Fault, fault, throwFaults } from './manifest/faults.ts';
import { openEnvelope } from './manifest/plan.ts';
import { readSources, type Source } from './manifest/sources.ts';
import { taskSpecOf } from './manifest/swarm-task.ts';

/** Reads the one SwarmTask of a file, or of standard input (`-`). INVALID_ARGUMENT tells every fault with its place. */
export async function readTaskManifest(path: string): Promise<TaskSpec> {
  const faults: Fault[] = [];
  const [source] = await readSources([path], false, faults);
  const spec = source && parseTaskManifest(source, faults);
  throwFaults(faults);
  return spec as TaskSpec;
}

/** The task of a manifest, without what it leaves out; undefined when there are faults. */
export function parseTaskManifest(source: Source, faults: Fault[]): TaskSpec | undefined {
  const [document, second] = parseDocuments(source, faults);
  if (second) second.fault(faults, '', 'must be the only document of the file; several are taken by hivebus apply');
  if (!document || !openEnvelope(document, faults)) return undefined;
  const { kind, metadata, spec = {} } = document.manifest;
  if (kind !== 'SwarmTask') {
    faults.push(
      fault(source.file, 1, 1, `holds a ${kind}, and must hold a SwarmTask; other kinds are taken by hivebus apply`),
    );
    return undefined;
  }
  const given = checked('hivebus.manifest.v1.TaskManifest', spec, document, faults, 'spec');
  return given && taskSpecOf(document, metadata?.name ?? '', given, {}, faults);
}
