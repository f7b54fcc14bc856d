import { Checks } from '../../../libs/kernel/checks.ts';
import {
  ARTEFACT_NAME_RULE,
  isArtefactName,
  MAX_ARTEFACT_BYTES,
  PART_BYTES,
  partsOf,
} from '../../../libs/protocol/artefacts.ts';
import type * as rpc from '../../../libs/wire/hivebus/pool/v1/pool.ts';
import { attempt } from './attempts.ts';

/** What attempts store as files, and who reads it. */

const MAX_MEDIA_TYPE = 128;
const BASE64 = /^[A-Za-z0-9+/]*={0,2}$/;
const DIGEST = /^sha256:[A-Za-z0-9_-]{43}$/;

/** Gives the part's content; of what another replica forwards only its size is looked at, which is none. */
export function checkArtefactPart(request: rpc.PutArtefactPartRequest): Uint8Array {
  const checks = new Checks();
  attempt(checks, request);
  artefactName(checks, 'name', request.name);
  checks.range('part', request.part, 0, partsOf(MAX_ARTEFACT_BYTES) - 1);
  const { data } = request;
  const content = BASE64.test(data) && data.length % 4 === 0 ? Buffer.from(data, 'base64') : undefined;
  const size = content?.length ?? data.length;
  const rule = `is its size and must be at most ${PART_BYTES} bytes in base64`;
  checks.rule(content !== undefined && size <= PART_BYTES, 'data', size, rule);
  checks.done();
  return content ?? new Uint8Array();
}

export function checkArtefact(request: rpc.AddArtefactRequest): void {
  const checks = new Checks();
  attempt(checks, request);
  const { artefact } = request;
  checks.rule(artefact !== undefined, 'artefact', artefact, 'must be there');
  if (artefact) {
    artefactName(checks, 'artefact.name', artefact.name);
    checks.text('artefact.mediaType', artefact.mediaType, MAX_MEDIA_TYPE);
    checks.range('artefact.bytes', artefact.bytes, 0, MAX_ARTEFACT_BYTES);
    checks.rule(DIGEST.test(artefact.digest), 'artefact.digest', artefact.digest, 'must be `sha256:` and base64url');
    const parts = partsOf(artefact.bytes);
    checks.rule(artefact.parts === parts, 'artefact.parts', artefact.parts, `must be ${parts}, of ${PART_BYTES} bytes`);
  }
  checks.done();
}

export function checkArtefactName({ task, name }: rpc.ReadArtefactRequest): void {
  const checks = new Checks();
  checks.name('task', task);
  artefactName(checks, 'name', name);
  checks.done();
}

const artefactName = (checks: Checks, field: string, name: string): void =>
  checks.rule(isArtefactName(name), field, name, ARTEFACT_NAME_RULE);
