import { expect, test } from 'vitest';
import { systemClock } from '../kernel/clock.ts';
import { HiveError } from '../kernel/errors.ts';
import { until } from '../testkit/until.ts';
import { type Change, Informer, type InformerSource } from './informer.ts';

interface Row {
  name: string;
  value: number;
}

const row = (name: string, value = 1): Row => ({ name, value });

/** A source whose lists and watches are scripted; a watch breaks when its script ends, the last one stays. */
function scripted(lists: { revision: string; items: Row[] }[], watches: (Change<Row>[] | HiveError)[]) {
  const froms: string[] = [];
  const source: InformerSource<Row> = {
    list: async () => lists.shift() as { revision: string; items: Row[] },
    async *watch(from, signal) {
      froms.push(from);
      const script = watches.shift();
      if (script instanceof HiveError) throw script;
      yield* script ?? [];
      if (watches.length > 0) throw new HiveError('UNAVAILABLE', 'the connection broke');
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve()));
    },
    keyOf: ({ name }) => name,
  };
  return { source, froms };
}

test('lists, then watches from the list on, and resumes where it was', async () => {
  const { source, froms } = scripted(
    [{ revision: '7', items: [row('a'), row('b')] }],
    [
      [{ revision: '8', changed: [row('c')], removed: ['a'] }],
      [{ revision: '9', changed: [row('b', 2)], removed: [] }],
    ],
  );
  await using informer = new Informer(source, { clock: systemClock });
  await until(() => informer.get('b')?.value === 2);
  expect([informer.get('a'), informer.get('c')]).toEqual([undefined, row('c')]);
  expect(froms).toEqual(['7', '8']);
});

test('what was listed before there was anything is followed from the first record on, not from now on', async () => {
  const { source, froms } = scripted([{ revision: '0', items: [] }], [[]]);
  await using _ = new Informer(source, { clock: systemClock });
  await until(() => froms.length === 1);
  expect(froms).toEqual(['1']);
});

test('a compacted revision begins with a list again, which replaces what was known', async () => {
  const said: (string | undefined)[] = [];
  const { source, froms } = scripted(
    [
      { revision: '1', items: [row('a'), row('b')] },
      { revision: '50', items: [row('b')] },
    ],
    [new HiveError('OUT_OF_RANGE', 'too old', { reason: 'COMPACTED' }), []],
  );
  const onStatus = (error: HiveError | undefined) => said.push(error?.reason);
  await using informer = new Informer(source, { clock: systemClock, onStatus });
  await until(() => froms.length === 2);
  expect(froms).toEqual(['1', '50']);
  expect([informer.get('a'), informer.get('b')]).toEqual([undefined, row('b')]);
  expect(said).toEqual([undefined, 'COMPACTED', undefined]);
});
