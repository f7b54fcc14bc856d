import type { Language } from './language.ts';

export interface LineCounts {
  readonly total: number;
  readonly blank: number;
  readonly comment: number;
  readonly code: number;
  /** Longer than LONG_LINE characters. */
  readonly long: number;
}

const LONG_LINE = 120;

/** Counts lines by what they are; a line with code and a comment counts as code. */
export function countLines(lines: readonly string[], language: Language): LineCounts {
  const isComment = commentTest(language);
  const counts = { total: lines.length, blank: 0, comment: 0, code: 0, long: 0 };
  for (const line of lines) {
    const text = line.trim();
    const comment = isComment(text);
    if (line.length > LONG_LINE) counts.long++;
    if (text === '') counts.blank++;
    else if (comment) counts.comment++;
    else counts.code++;
  }
  return counts;
}

/** Tells of each trimmed line in turn whether it is nothing but comment. */
function commentTest(language: Language): (text: string) => boolean {
  const [open, close] = language.blockComment ?? [];
  let inBlock = false;
  return (text) => {
    if (inBlock) {
      inBlock = !text.includes(close as string);
      return true;
    }
    if (open && text.startsWith(open)) {
      inBlock = !text.slice(open.length).includes(close as string);
      return true;
    }
    return language.lineComment !== undefined && text.startsWith(language.lineComment);
  };
}
