import { expect, test } from 'vitest';
import { decodeEpoch, decodeGroup, encodeDecided, encodeEpoch, encodeGroup } from './record.ts';

const entry = (body: string) => ({ seq: 7, envelope: undefined, body: Buffer.from(body) });

test('a group is read as it was written', () => {
  const event = '{"type":"note.put","data":{"key":"a\\"b"}}';
  const decided = [
    encodeDecided('swarm:code', `${event},${event}`, { client: 'c', counter: 3 }, 'put', '"y":{"n":1}', 'd1g'),
    encodeDecided('service:clock', event, undefined, '', ''),
  ];
  const group = decodeGroup(entry(encodeGroup(12, decided)));
  const e = { type: 'note.put', data: { key: 'a"b' } };
  expect(group).toEqual({
    t: 12,
    c: [
      { r: ['c', 3], n: 'put', h: 'd1g', p: 'swarm:code', e: [e, e], y: { n: 1 } },
      { p: 'service:clock', e: [e] },
    ],
  });
});

test('an epoch is read as it was written', () => {
  expect(decodeEpoch(entry(encodeEpoch(5, 'abc')))).toEqual({ t: 5, incarnation: 'abc' });
});

test.each(['', 'x', 'null', '[]', '{}', '{"t":1}', '{"t":"1","c":[]}', '{"c":[]}'])(
  '%j is corrupt, by its sequence',
  (body) => {
    expect(() => decodeGroup(entry(body))).toThrow(/record 7 cannot be applied/);
    expect(() => decodeEpoch(entry(body))).toThrow(/record 7 cannot be applied/);
  },
);
