import type { TaskSpec } from '../libs/wire/hivebus/pool/v1/pool.ts';
import { checked, type Document, parseDocuments } from './manifest/document.ts';
import { type Fault, throwFaults } from './manifest/faults.ts';
import { openEnvelope } from './manifest/plan.ts';
import { readSources, type Source } from './manifest/sources.ts';
import { taskSpecOf } from './manifest/swarm-task.ts';
import { withPolicy } from './manifest/words.ts';

/** Reads the SwarmTasks of a file, or of standard input (`-`). INVALID_ARGUMENT tells every fault with its place. */
export async function readTaskManifests(path: string): Promise<TaskSpec[]> {
  const faults: Fault[] = [];
  const sources = await readSources([path], false, faults);
  const specs = sources.flatMap((source) => parseTaskManifests(source, faults));
  throwFaults(faults);
  return specs;
}

/** The tasks of a file's documents, each without what it leaves out; those with faults are missing. */
export const parseTaskManifests = (source: Source, faults: Fault[]): TaskSpec[] =>
  parseDocuments(source, faults).flatMap((document) => taskOf(document, faults) ?? []);

function taskOf(document: Document, faults: Fault[]): TaskSpec | undefined {
  if (!openEnvelope(document, faults)) return undefined;
  const { kind, metadata, spec = {} } = document.manifest;
  if (kind !== 'SwarmTask') {
    document.fault(faults, '', `holds a ${kind}, and must hold a SwarmTask; other kinds are taken by hivebus apply`);
    return undefined;
  }
  const given = checked('hivebus.manifest.v1.TaskManifest', withPolicy(spec), document, faults, 'spec');
  return given && taskSpecOf(document, metadata?.name ?? '', given, {}, faults);
}
