import {
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Pair,
  parseAllDocuments,
  type Document as YamlDocument,
} from 'yaml';
import { HiveError, type Violation } from '../../libs/kernel/errors.ts';
import { requestSchema } from '../../libs/rpc/schema.ts';
import type { Manifest } from '../../libs/wire/hivebus/manifest/v1/manifest.ts';
import { type Fault, fault } from './faults.ts';
import { MAX_DOCUMENTS, problemsOf, TOO_MANY_DOCUMENTS, tooMuch } from './problems.ts';
import type { Source } from './sources.ts';
import { takeUnkept } from './values.ts';

/** One document of a source, with the places of its parts. */
export interface Document {
  readonly file: string;
  readonly manifest: Manifest;
  /** Adds a fault at the part of the document that `path` names (`spec.memory.type`), or at the next one around it. */
  fault(faults: Fault[], path: string, text: string, code?: Fault['code']): void;
}

/** The documents of a source. What is only comments is none. Every fault goes to `faults`; faulty documents are left out. */
export function parseDocuments({ file, text }: Source, faults: Fault[]): Document[] {
  const lines = new LineCounter();
  const placed: Placed = (offset, what, code) => {
    const { line, col } = lines.linePos(offset);
    return fault(file, Math.max(1, line), Math.max(1, col), what, code);
  };
  const at = (offset: number, what: string) => void faults.push(placed(offset, what));
  const refused = tooMuch(text);
  if (refused) {
    at(0, refused);
    return [];
  }
  const options = { lineCounter: lines, prettyErrors: false, uniqueKeys: false, stringKeys: true } as const;
  const parsed = [...parseAllDocuments(text, options)] as YamlDocument.Parsed[];
  const full = parsed.filter(({ contents, errors }) => errors.length > 0 || !isNothing(contents));
  if (full.length === 0) at(0, 'holds no manifest, only comments or nothing');
  if (full.length > MAX_DOCUMENTS) {
    at(0, TOO_MANY_DOCUMENTS);
    return [];
  }
  return full.flatMap((document) => {
    const problems = problemsOf(document);
    for (const { offset, text: what } of problems) at(offset, what);
    if (problems.length > 0) return [];
    const known = new Known(file, document, placed);
    return known.read(faults) ? [known] : [];
  });
}

const isNothing = (contents: unknown): boolean =>
  contents === null || (isScalar(contents) && contents.value === null && contents.source === '');

type Placed = (offset: number, text: string, code?: Fault['code']) => Fault;

class Known implements Document {
  readonly file: string;
  manifest: Manifest = { apiVersion: '', kind: '' };
  readonly #document: YamlDocument.Parsed;
  readonly #placed: Placed;
  /** Where values were taken out that are told already. */
  readonly #taken = new Set<number>();

  constructor(file: string, document: YamlDocument.Parsed, placed: Placed) {
    this.file = file;
    this.#document = document;
    this.#placed = placed;
  }

  /** Reads the envelope; false when it cannot be read. */
  read(faults: Fault[]): boolean {
    for (const { offset, text } of takeUnkept(this.#document)) {
      faults.push(this.#placed(offset, text));
      this.#taken.add(offset);
    }
    const before = faults.length;
    const value: unknown = this.#document.toJS();
    if (isListing(value)) {
      this.fault(faults, '', NO_MANIFEST);
      return false;
    }
    const manifest = checked('hivebus.manifest.v1.Manifest', value, this, faults, '');
    if (manifest) this.manifest = manifest as Manifest;
    return faults.length === before;
  }

  fault(faults: Fault[], path: string, text: string, code?: Fault['code']): void {
    const offset = this.#offsetOf(segments(path), text.startsWith('is not a field of'));
    if (this.#taken.has(offset)) return;
    faults.push(this.#placed(offset, path === '' ? text : `${path}: ${text}`, code));
  }

  /** Where the part begins; `ofKey`: its key, where it has one. */
  #offsetOf(path: readonly string[], ofKey: boolean): number {
    let node: unknown = this.#document.contents;
    let offset = isNode(node) ? (node.range?.[0] ?? 0) : 0;
    for (const [i, name] of path.entries()) {
      const last = i === path.length - 1;
      if (isMap(node)) {
        const pair = node.items.find(({ key }) => sameName(key, name));
        if (!pair) return offset;
        const [key, value] = offsetsOf(pair);
        offset = last && ofKey ? key : value;
        node = pair.value;
      } else if (isSeq(node)) {
        node = node.items[Number(name)];
        if (!isNode(node)) return offset;
        offset = node.range?.[0] ?? offset;
      } else return offset;
    }
    return offset;
  }
}

/** What `hivebus get -o yaml` writes of other kinds: items, in a list or by kind, and no manifest among them. */
function isListing(value: unknown): boolean {
  if (Array.isArray(value))
    return value.every((item) => typeof item === 'object' && item !== null && !('kind' in item));
  if (typeof value !== 'object' || value === null || 'kind' in value || 'apiVersion' in value) return false;
  const parts = Object.values(value);
  return parts.length > 0 && parts.every((part) => Array.isArray(part));
}

const NO_MANIFEST =
  'is no manifest: it has no kind. Only clusters, declared agents, tasks and groups are written so that they can be applied; ' +
  'policy, limits and lending are changed by hivebus set';

function offsetsOf({ key, value }: Pair): [key: number, value: number] {
  const ofKey = isNode(key) ? (key.range?.[0] ?? 0) : 0;
  const empty = isScalar(value) && value.source === '';
  return [ofKey, isNode(value) && !empty ? (value.range?.[0] ?? ofKey) : ofKey];
}

/** Fields are taken in camelCase and, as everywhere in proto3 JSON, in snake_case. */
const sameName = (key: unknown, name: string): boolean =>
  isScalar(key) &&
  (String(key.value) === name || String(key.value).replace(/_([a-z])/g, (_, letter) => letter.toUpperCase()) === name);

/** `spec.models[0].name` and `spec.ratios["a.b"]` as names. */
export const segments = (path: string): string[] =>
  [...path.matchAll(/\["((?:[^"\\]|\\.)*)"\]|\[(\d+)\]|([^.[\]]+)/g)].map(
    ([, quoted, index, name]) => (quoted === undefined ? undefined : JSON.parse(`"${quoted}"`)) ?? index ?? name ?? '',
  );

/** A value as a message of `typeName`; undefined when it has faults, which are told at their places below `prefix`. */
export function checked(
  typeName: string,
  value: unknown,
  document: Document,
  faults: Fault[],
  prefix: string,
): object | undefined {
  try {
    return requestSchema(typeName).check(value);
  } catch (error) {
    if (!(error instanceof HiveError) || error.violations.length === 0) throw error;
    for (const violation of error.violations) tell(document, faults, prefix, violation);
    return undefined;
  }
}

/** A violation as a fault at its field's place. */
export function tell(document: Document, faults: Fault[], prefix: string, { field, value, rule }: Violation): void {
  const own = field === 'message' ? '' : field;
  const path = prefix === '' ? own : own === '' ? prefix : own.startsWith('[') ? `${prefix}${own}` : `${prefix}.${own}`;
  const isScalarValue = /^(-?\d|true|false)/.test(value);
  const hint = rule === 'must be a string' && isScalarValue ? `; write it in quotes, "${value}"` : '';
  const shown = rule.startsWith('is not a field of') ? rule : `${value} ${rule}${hint}`;
  document.fault(faults, path, shown);
}
