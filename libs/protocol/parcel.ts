/**
 * Several messages of one kind to one receiver as one: a JSON list of them; one alone is itself. The answer names those
 * that were not taken by their places, and is empty when all were: `{"left":[2]}`.
 */
export const parcelText = (texts: readonly string[]): string =>
  texts.length === 1 ? (texts[0] as string) : `[${texts.join(',')}]`;

/** The messages in a parcel. Throws SyntaxError when it is no JSON. */
export function unpacked(body: Uint8Array): readonly unknown[] {
  const json: unknown = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8'));
  return Array.isArray(json) ? json : [json];
}

export const leftText = (left: readonly number[]): string => (left.length === 0 ? '' : JSON.stringify({ left }));

/** The places of those that were not taken. An answer that says nothing of it says that all were. */
export function leftIn(body: Uint8Array): readonly number[] {
  if (body.length === 0) return [];
  try {
    const json: unknown = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8'));
    const left: unknown = typeof json === 'object' && json !== null && 'left' in json ? json.left : [];
    return Array.isArray(left) ? left.filter(Number.isInteger) : [];
  } catch {
    return [];
  }
}
