import { readFileSync } from 'node:fs';

/**
 * A command for agents that counts to 6, stores each step as a checkpoint and writes it with its attempt to a file. The
 * first attempt gets to 3 and stays there.
 */
export const counting = (file: string): string =>
  [
    'step=$HIVEBUS_CHECKPOINT; [ -n "$step" ] || step=0',
    'while [ "$step" -lt 6 ]; do',
    `  step=$((step + 1)); echo "$HIVEBUS_ATTEMPT $step" >> '${file}'; echo "$step" >&3`,
    '  [ "$step" != 3 ] || [ "$HIVEBUS_ATTEMPT" != 1 ] || sleep 600',
    'done; echo "{\\"steps\\": $step}"',
  ].join('\n');

/** What is in the file when the second attempt went on where the first one was. */
export const EACH_STEP_ONCE = ['1 1', '1 2', '1 3', '2 4', '2 5', '2 6'];

/** The lines that attempts have written to a file that they share. */
export function linesOf(file: string): string[] {
  try {
    return readFileSync(file, 'utf8').trim().split('\n');
  } catch {
    return []; // not written yet
  }
}
