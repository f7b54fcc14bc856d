import { expect, test } from 'vitest';
import { HiveError, invalid, quote } from '../kernel/errors.ts';
import { ERROR_KEY, parseErrorJson, toErrorJson, toGrpc } from './error-wire.ts';

const jsonOf = (error: HiveError) => String(toGrpc(error).metadata.get(ERROR_KEY)[0]);

test('a text that was cut within a character, or came with half of one, is told all the same', () => {
  const halves = ['\ud83d', `${'a'.repeat(75)}😀😀`, `${'x'.repeat(1020)}😀😀`];
  for (const half of halves) {
    const error = new HiveError('INVALID_ARGUMENT', `name: ${quote(half)} ${half}`);
    const { details } = toGrpc(error);
    expect(() => encodeURI(details)).not.toThrow(); // as gRPC does
    expect(parseErrorJson(jsonOf(error))?.message).toBe(details);
    expect(toErrorJson(error).message).not.toMatch(/\p{Surrogate}/u);
  }
});

test('what gRPC carries of an error fits into the 8 KiB of trailers that clients take', () => {
  const value = quote('漢'.repeat(100));
  const faults = Array.from({ length: 64 }, (_, i) => ({ field: `tags[${i}]`, value, rule: 'must be a name' }));
  const { details } = toGrpc(invalid(faults));
  const json = jsonOf(invalid(faults));
  expect(encodeURI(details).length + json.length).toBeLessThan(8000);
  expect(parseErrorJson(json)?.violations?.length).toBeGreaterThan(3);
  expect(toErrorJson(invalid(faults)).violations).toHaveLength(64);
});
