import { parseArgs } from 'node:util';

export interface DemoOptions {
  /** The repository to look at. */
  readonly repo: string;
  /** Leave everything running afterwards, until Ctrl-C. */
  readonly keep: boolean;
  /** At most so many files. */
  readonly maxFiles: number;
  /** Folder of the report. */
  readonly out: string;
}

export const USAGE = `npm run demo [-- --repo PATH] [--out FOLDER] [--max-files N] [--keep]

  --repo PATH     the source code to look at (default: this repository)
  --out FOLDER    where the report goes (default: .hivebus/demo)
  --max-files N   look at so many files at most (default: 300)
  --keep          leave it running afterwards, to look around; Ctrl-C ends it`;

const DEFAULT_MAX_FILES = 300;

/** Throws with a message for people when the arguments are wrong; undefined when help was asked for. */
export function readOptions(args: string[]): DemoOptions | undefined {
  const { values } = parseArgs({
    args,
    options: {
      repo: { type: 'string' },
      out: { type: 'string' },
      'max-files': { type: 'string' },
      keep: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return undefined;
  const maxFiles = Number(values['max-files'] ?? DEFAULT_MAX_FILES);
  if (!Number.isSafeInteger(maxFiles) || maxFiles < 1) throw new Error('--max-files must be a whole number from 1');
  return { repo: values.repo ?? '.', keep: values.keep ?? false, maxFiles, out: values.out ?? '.hivebus/demo' };
}
