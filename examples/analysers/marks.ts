import type { Language } from './language.ts';

/** A note that somebody left in a comment. */
export interface Mark {
  readonly kind: string;
  /** From 1. */
  readonly line: number;
  readonly text: string;
}

const MARK = /\b(TODO|FIXME|HACK|XXX|BUG)\b(?:\([^)]*\))?[:\s-]\s*(.*)/;
const MAX_TEXT = 100;

/** Marks in comments; in files of a language without known comments, anywhere. */
export function findMarks(lines: readonly string[], language: Language): Mark[] {
  const openers = [language.lineComment, language.blockComment?.[0], language.blockComment && '*'].filter(
    (opener) => opener !== undefined,
  );
  return lines.flatMap((line, i) => {
    const comment = openers.length === 0 ? line : commentOf(line, openers);
    const [, kind, text = ''] = MARK.exec(comment) ?? [];
    return kind === undefined ? [] : [{ kind, line: i + 1, text: text.trim().slice(0, MAX_TEXT) }];
  });
}

function commentOf(line: string, openers: readonly string[]): string {
  const starts = openers
    .map((opener) => (opener === '*' ? starOf(line) : line.indexOf(opener)))
    .filter((at) => at >= 0);
  return starts.length === 0 ? '' : line.slice(Math.min(...starts));
}

/** A line within a block comment, as most people write them. */
const starOf = (line: string): number => (/^\s*\*/.test(line) ? line.indexOf('*') : -1);
