/**
 * Titles, reasons, names and whatever a stranger sends over the bus are shown on terminals, which obey control
 * characters: they could colour and clear the screen, set titles, move the cursor or turn the order of letters round.
 * Here each is shown as a sign of its own instead. JSON and YAML stay exact.
 */

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: it is these that are looked for
/** C0, DEL and C1, zero-width and bidirectional controls. */
const CONTROL = /[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g;
/** Of a whole text, where lines end as they should. */
const OF_TEXT = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g;
/** Colours; everything else that is looked for above. */
const COLOUR_OR_CONTROL = /\x1b\[[\d;]*m|[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/g;

// biome-ignore-end lint/suspicious/noControlCharactersInRegex: it is these that are looked for

/** `␛` for ESC, `␡` for DEL, `<U+202E>` for what has no picture. */
function sign(character: string): string {
  const code = character.charCodeAt(0);
  if (code < 0x20) return String.fromCharCode(0x2400 + code);
  if (code === 0x7f) return '\u2421';
  return `<U+${code.toString(16).toUpperCase().padStart(4, '0')}>`;
}

/** One line of text without anything that a terminal obeys. */
export const plainLine = (text: string): string => text.replace(CONTROL, sign);

/** The same, with its line ends. */
export const plainText = (text: string): string => text.replace(OF_TEXT, sign);

/** The same, with line ends, tabs and colours: of what is coloured here, and of output of programs. */
export const colouredText = (text: string): string =>
  text.replace(COLOUR_OR_CONTROL, (found) => (found.length > 1 ? found : sign(found)));

/** A part of a coloured text that stands in one line. */
export const colouredLine = (text: string): string => colouredText(text).replace(/[\n\t]/g, sign);

/** A copy of a value for people: `plainLine` of all texts in it, keys included. */
export function printable<T>(value: T): T {
  return copied(value) as T;
}

function copied(value: unknown): unknown {
  if (typeof value === 'string') return plainLine(value);
  if (Array.isArray(value)) return value.map(copied);
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [plainLine(key), copied(part)]));
}
