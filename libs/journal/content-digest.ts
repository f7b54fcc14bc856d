import { createHash } from 'node:crypto';

/**
 * What a command's input is known by when its request id comes again: 8 characters, enough to tell a client's mistake and
 * no protection against anybody. Fields with their default value do not count, so that a replica of a newer version,
 * which knows more fields, makes the same of a repeat.
 */
export const contentDigest = (input: unknown): string =>
  createHash('sha256')
    .update(JSON.stringify(input, withoutDefaults) ?? '')
    .digest('base64url')
    .slice(0, 8);

function withoutDefaults(_: string, value: unknown): unknown {
  return isDefault(value) ? undefined : value;
}

function isDefault(value: unknown): boolean {
  if (typeof value === 'string') return value === '' || value === '0' || value.endsWith('_UNSPECIFIED');
  if (typeof value !== 'object' || value === null) return !value;
  for (const _ in value) return false;
  return true;
}
