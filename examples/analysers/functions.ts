import type { Language } from './language.ts';

export interface FunctionSize {
  readonly name: string;
  /** Its first line, from 1. */
  readonly line: number;
  readonly lines: number;
}

/** The functions of a file by a look at its lines, not by parsing: good enough to find the ones that are too long. */
export function findFunctions(lines: readonly string[], language: Language): FunctionSize[] {
  const { functionStart, bodies } = language;
  if (!functionStart || !bodies) return [];
  const endOf = bodies === 'braces' ? bracesEnd : indentationEnd;
  return lines.flatMap((line, i) => {
    const match = functionStart.exec(line);
    const end = match ? endOf(lines, i) : undefined;
    if (!match || end === undefined) return [];
    return [{ name: match.slice(1).find((name) => name !== undefined) ?? '?', line: i + 1, lines: end - i + 1 }];
  });
}

export function longestFunction(functions: readonly FunctionSize[]): FunctionSize | undefined {
  return functions.reduce<FunctionSize | undefined>(
    (best, each) => (best && best.lines >= each.lines ? best : each),
    undefined,
  );
}

/** The line on which the first brace opened from `start` on is closed again; undefined for a declaration. */
function bracesEnd(lines: readonly string[], start: number): number | undefined {
  let depth = 0;
  let opened = false;
  for (let i = start; i < lines.length; i++) {
    for (const sign of withoutText(lines[i] as string)) {
      if (sign === '{') {
        depth++;
        opened = true;
      } else if (sign === '}') depth--;
      else if (sign === ';' && !opened && depth === 0) return undefined;
    }
    if (opened && depth <= 0) return i;
  }
  return undefined;
}

/** Strings, comments and regular expressions may hold braces that mean nothing. */
const withoutText = (line: string): string =>
  line.replace(
    /"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|\/\*.*?\*\/|\/\/.*$|\/(?:\\.|[^/\\\s])+\/[a-z]*/g,
    '',
  );

/** The last line that is indented deeper than the first. */
function indentationEnd(lines: readonly string[], start: number): number {
  const depth = indentation(lines[start] as string);
  let end = start;
  for (let i = start + 1; i < lines.length; i++) {
    const line = lines[i] as string;
    if (line.trim() === '') continue;
    if (indentation(line) <= depth && !/^\s*[)\]]/.test(line)) break;
    end = i;
  }
  return end;
}

const indentation = (line: string): number => line.length - line.trimStart().length;
