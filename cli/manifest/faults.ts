import { type Code, HiveError } from '../../libs/kernel/errors.ts';

/** Something that is wrong with a manifest, and where. Lines and columns count from 1. */
export interface Fault {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** What was wrong and what was meant. */
  readonly text: string;
  readonly code: Code;
}

export const fault = (
  file: string,
  line: number,
  column: number,
  text: string,
  code: Code = 'INVALID_ARGUMENT',
): Fault => ({ file, line, column, text, code });

/** More are counted and not shown: nobody reads them. */
const MAX_SHOWN = 50;

/** Throws all faults as one error, each with its place, when there are any. */
export function throwFaults(found: readonly Fault[]): void {
  const faults = inOrder(found);
  const [first] = faults;
  if (!first) return;
  const shown = faults.slice(0, MAX_SHOWN).map(({ file, line, column, text }) => `${file}:${line}:${column}: ${text}`);
  const more = faults.length - shown.length;
  const head = faults.length === 1 ? 'a fault, so nothing was done' : `${faults.length} faults, so nothing was done`;
  const lines = more > 0 ? [...shown, `and ${more} more`] : shown;
  const code = faults.every((each) => each.code === first.code) ? first.code : 'INVALID_ARGUMENT';
  throw new HiveError(code, `${head}:\n${lines.join('\n')}`, {
    retryable: false,
    reason: 'MANIFEST_FAULTS',
    violations: faults.slice(0, MAX_SHOWN).map(({ file, line, column, text }) => ({
      field: `${file}:${line}:${column}`,
      value: '',
      rule: text,
    })),
  });
}

/** By file, in the order in which they were read, and by place. */
function inOrder(faults: readonly Fault[]): Fault[] {
  const files = [...new Set(faults.map(({ file }) => file))];
  const rank = new Map(files.map((file, i) => [file, i]));
  const rankOf = ({ file }: Fault) => rank.get(file) ?? 0;
  return [...faults].sort((a, b) => rankOf(a) - rankOf(b) || a.line - b.line || a.column - b.column);
}
