import { colors } from './output.ts';
import { word } from './values.ts';

const GOOD = new Set(['healthy', 'ready', 'succeeded', 'active']);
const BAD = new Set(['unreachable', 'failed', 'timed-out', 'terminal', 'lost', 'revoked']);
const DOUBTFUL = new Set(['suspect', 'draining', 'cancelled', 'expired']);

/** A state's name in its colour. */
export function stateText(value: string, prefix: string): string {
  const text = word(value, prefix);
  if (GOOD.has(text)) return colors.green(text);
  if (BAD.has(text)) return colors.red(text);
  return DOUBTFUL.has(text) ? colors.yellow(text) : text;
}
