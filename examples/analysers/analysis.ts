import { type FunctionSize, findFunctions, longestFunction } from './functions.ts';
import { languageOf } from './language.ts';
import { countLines, type LineCounts } from './line-counts.ts';
import { findMarks, type Mark } from './marks.ts';
import { findSecrets, type Suspect } from './secrets.ts';

/** What is found out about one file: the result of a task. */
export interface Analysis {
  readonly file: string;
  readonly language: string;
  readonly lines: LineCounts;
  readonly functions: number;
  readonly longest: FunctionSize | undefined;
  readonly marks: readonly Mark[];
  readonly secrets: readonly Suspect[];
}

/** Marks and secrets told of one file at most: a result is small. */
const MAX_FINDINGS = 50;

export function analyse(file: string, text: string): Analysis {
  const language = languageOf(file);
  const lines = text.replace(/\r?\n$/, '').split(/\r?\n/);
  const functions = findFunctions(lines, language);
  return {
    file,
    language: language.name,
    lines: countLines(lines, language),
    functions: functions.length,
    longest: longestFunction(functions),
    marks: findMarks(lines, language).slice(0, MAX_FINDINGS),
    secrets: findSecrets(lines).slice(0, MAX_FINDINGS),
  };
}
