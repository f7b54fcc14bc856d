import { isMap, isScalar, isSeq, type Document as YamlDocument } from 'yaml';
import type { Problem } from './problems.ts';

/**
 * Takes the values out of a document that would not come through JSON as they are written, and returns where they were,
 * by their paths. The rest of the document can so be checked as well.
 */
export function takeUnkept(document: YamlDocument.Parsed): Problem[] {
  const found: Problem[] = [];
  walk(document.contents, '', found);
  return found;
}

function walk(node: unknown, path: string, found: Problem[]): void {
  const tell = (offset: number | undefined, at: string, text: string) =>
    void found.push({ offset: offset ?? 0, text: at === '' ? text : `${at}: ${text}` });
  if (isMap(node)) {
    node.items = node.items.filter(({ key, value }) => {
      const name = isScalar(key) ? String(key.value) : '';
      const at = below(path, name);
      if (name !== '__proto__') walk(value, at, found);
      else tell(isScalar(key) ? key.range?.[0] : 0, at, 'must not be a key');
      return name !== '__proto__';
    });
  } else if (isSeq(node)) {
    for (const [i, item] of node.items.entries()) walk(item, `${path}[${i}]`, found);
  } else if (isScalar(node)) {
    const why = unkept(node.value, node.source ?? '');
    if (!why) return;
    tell(node.range?.[0], path, `${node.source} ${why}; write it in quotes`);
    node.value = null;
  }
}

/** As `spec.ratios["a.b"]`. */
const below = (path: string, name: string): string => {
  if (!/^[\w-]+$/.test(name)) return `${path}[${JSON.stringify(name)}]`;
  return path === '' ? name : `${path}.${name}`;
};

function unkept(value: unknown, source: string): string | undefined {
  if (typeof value !== 'number') return undefined;
  if (!Number.isFinite(value)) return /\d/.test(source) ? 'is too large for a number' : 'is no number in JSON';
  // 1e300 is a measure; what is written digit by digit is meant so.
  const isWhole = /^([-+]?\d+|0[ox][\da-f]+)$/i.test(source);
  return isWhole && !Number.isSafeInteger(value) ? 'is beyond 2^53, where numbers are rounded' : undefined;
}
