/**
 * What a command's input (JSON) is known by when its request id comes again: 9 characters, enough to tell a client's
 * mistake and no protection against anybody. Fields with their default value do not count, so that a replica of a newer
 * version, which knows more fields, makes the same of a repeat.
 *
 * Each command pays for it, so it walks the value instead of writing it down. The hash is cyrb53, 53 bits (bryc, public
 * domain): two multiplicative hashes that are mixed at the end.
 */
export function contentDigest(input: unknown): string {
  const hash = new Cyrb53();
  if (!isDefault(input)) addValue(hash, input);
  return hash.digest();
}

/** Digests of records that are older than this way of making them, which have another length, tell nothing. */
export const sameContent = (kept: string | undefined, digest: string): boolean =>
  kept === undefined || kept.length !== digest.length || kept === digest;

/** Marks, outside of what a character can be, so that no two values are made of the same steps. */
const MARKS = {
  text: 0x10000,
  number: 0x10001,
  true: 0x10002,
  list: 0x10003,
  object: 0x10004,
  none: 0x10005,
  end: 0x10006,
};

function addValue(hash: Cyrb53, value: unknown): void {
  if (typeof value === 'string') {
    hash.add(MARKS.text);
    hash.addText(value);
  } else if (typeof value === 'number') {
    hash.add(MARKS.number);
    hash.addText(String(value));
  } else if (Array.isArray(value)) {
    hash.add(MARKS.list);
    for (const item of value) {
      if (isDefault(item)) hash.add(MARKS.none);
      else addValue(hash, item);
    }
    hash.add(MARKS.end);
  } else if (typeof value === 'object') {
    addFields(hash, value as Readonly<Record<string, unknown>>);
  } else {
    hash.add(MARKS.true);
  }
}

function addFields(hash: Cyrb53, fields: Readonly<Record<string, unknown>>): void {
  hash.add(MARKS.object);
  for (const name in fields) {
    const value = fields[name];
    if (isDefault(value)) continue;
    hash.addText(name);
    addValue(hash, value);
  }
  hash.add(MARKS.end);
}

function isDefault(value: unknown): boolean {
  if (typeof value === 'string') return value === '' || value === '0' || value.endsWith('_UNSPECIFIED');
  if (typeof value !== 'object' || value === null) return !value;
  if (Array.isArray(value)) return value.length === 0; // to begin to walk the keys of a list takes as long as to digest it
  for (const _ in value) return false;
  return true;
}

class Cyrb53 {
  // As 32 bits with a sign, which a field holds as it is: 0xdeadbeef and 0x41c6ce57.
  #a = -559038737;
  #b = 1103547991;

  add(code: number): void {
    this.#a = Math.imul(this.#a ^ code, 2654435761);
    this.#b = Math.imul(this.#b ^ code, 1597334677);
  }

  addText(text: string): void {
    let a = this.#a;
    let b = this.#b;
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i);
      a = Math.imul(a ^ code, 2654435761);
      b = Math.imul(b ^ code, 1597334677);
    }
    this.#a = a;
    this.#b = b;
    this.add(MARKS.end);
  }

  digest(): string {
    const [a, b] = [this.#a, this.#b];
    const low = Math.imul(a ^ (a >>> 16), 2246822507) ^ Math.imul(b ^ (b >>> 13), 3266489909);
    const high = Math.imul(b ^ (b >>> 16), 2246822507) ^ Math.imul(low ^ (low >>> 13), 3266489909);
    return String.fromCharCode(
      letter(low),
      letter(low >>> 6),
      letter(low >>> 12),
      letter(low >>> 18),
      letter(low >>> 24),
      letter(high),
      letter(high >>> 6),
      letter(high >>> 12),
      letter((low >>> 30) | ((high >>> 16) & 0b11100)),
    );
  }
}

const LETTERS = Buffer.from('ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_');

/** The letter of the lowest 6 bits: base64url's. A number's own text takes ten times as long. */
const letter = (bits: number): number => LETTERS[bits & 63] as number;
