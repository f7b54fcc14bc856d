/** What may be stored of an attempt, and how it is cut up: what agents, pool and readers agree on. */

/** The size of each part of an artefact but the last, in bytes; in base64 it has room in a message on the bus. */
export const PART_BYTES = 384 * 1024;
export const MAX_ARTEFACT_BYTES = 64 << 20;
/** What a result that is too large for its field is stored as. */
export const RESULT_ARTEFACT = 'result';

export const ARTEFACT_NAME_RULE =
  'must be 1 to 64 letters, digits, dots, hyphens and underscores, and not begin with a dot';
export const isArtefactName = (name: string): boolean => /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}$/.test(name);

export const partsOf = (bytes: number): number => Math.ceil(bytes / PART_BYTES);
