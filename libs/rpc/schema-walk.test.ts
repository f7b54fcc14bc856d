import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { messageDescriptor } from './descriptors.ts';
import * as written from './schema.ts';

const TYPES = ['SubmitTaskRequest', 'WatchTasksResponse', 'ReportTasksRequest', 'RegisterAgentRequest'];

/** Names that messages have, in both spellings, and some that none has. */
const NAMES = ['__proto__', 'taks', ...TYPES.flatMap(namesBelow), 'constructor'];

function namesBelow(type: string): string[] {
  const { fields } = messageDescriptor(`hivebus.pool.v1.${type}`);
  const nested = fields.flatMap((field) => field.message?.fields ?? []);
  const own = [...fields, ...nested, ...nested.flatMap((field) => field.message?.fields ?? [])];
  return own.flatMap(({ name, jsonName }) => [name, jsonName]);
}

const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 5 },
    fc.constantFrom<unknown>(
      null,
      undefined,
      true,
      0,
      3,
      -1,
      1.5,
      '',
      '7',
      'code',
      'TASK_STATE_QUEUED',
      '2026-01-31T12:00:00Z',
    ),
    fc.array(tie('any'), { maxLength: 3 }),
    fc.array(fc.tuple(fc.constantFrom(...NAMES), tie('any')), { maxLength: 8 }).map((all) => Object.fromEntries(all)),
  ),
})).any;

const readBy = (schemas: typeof written, type: string, json: unknown) =>
  ['requestSchema', 'responseSchema'].map((kind) => {
    try {
      return schemas[kind as 'requestSchema'](`hivebus.pool.v1.${type}`).check(json);
    } catch (error) {
      return String(error);
    }
  });

test('readers that are written out read as the loop does, which is there where no code may be made', async () => {
  vi.resetModules();
  const make = vi.spyOn(globalThis, 'Function').mockImplementation(function refuse() {
    throw new EvalError('Code generation from strings disallowed for this context');
  });
  const looping = await import('./schema.ts');
  for (const type of TYPES) readBy(looping, type, {});
  expect(make).toHaveBeenCalled();
  make.mockRestore();
  fc.assert(
    fc.property(fc.constantFrom(...TYPES), value, (type, json) => {
      expect(readBy(written, type, json)).toEqual(readBy(looping, type, json));
    }),
    { numRuns: 2000 },
  );
});
