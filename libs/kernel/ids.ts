import { randomFillSync } from 'node:crypto';

const ALPHABET = Buffer.from('0123456789abcdefghjkmnpqrstvwxyz'); // Crockford's base 32, lower case: valid in NATS tokens
const pool = Buffer.allocUnsafe(4096);
let used = pool.length;

/** Makes sure that the pool has `count` bytes left: asking the system for each id would take most of its time. */
function fill(count: number): void {
  if (used + count <= pool.length) return;
  randomFillSync(pool);
  used = 0;
}

/** `length` random characters of 5 bits each, valid as (a part of) a name: 16 make 80 bits. */
export function randomId(length = 16): string {
  fill(length);
  const start = used;
  used += length;
  for (let i = start; i < used; i++) pool[i] = ALPHABET[(pool[i] as number) & 31] as number;
  return pool.toString('latin1', start, used);
}

/** `bytes` random bytes in hexadecimal. */
export function randomHex(bytes: number): string {
  fill(bytes);
  const start = used;
  used += bytes;
  return pool.toString('hex', start, used);
}
