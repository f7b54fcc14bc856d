import type { NatsConnection } from '@nats-io/nats-core';
import { expect, test } from 'vitest';
import { Batch } from './batch.ts';

const INFO = { max_payload: 1000 };

test('messages are written as the protocol has them, with lengths in bytes', () => {
  const written: string[] = [];
  const protocol = {
    sendCommand: (bytes: Uint8Array) => void written.push(Buffer.from(bytes).toString()),
    ...{ outMsgs: 0, outBytes: 0 },
  };
  const batch = new Batch({ info: INFO, protocol } as unknown as NatsConnection, 's: 1\r\n');
  batch.add('a.b', 'k: v\r\n', '"ü"', 4);
  batch.add('c', '', '{}', 2);
  expect(written).toEqual([]);
  batch.flush();
  batch.flush();
  const first = 'HPUB a.b 24 28\r\nNATS/1.0\r\ns: 1\r\nk: v\r\n\r\n"ü"\r\n';
  expect(written).toEqual([`${first}HPUB c 18 20\r\nNATS/1.0\r\ns: 1\r\n\r\n{}\r\n`]);
  expect(protocol).toMatchObject({ outMsgs: 2, outBytes: Buffer.byteLength(written[0] as string) });
});

test('a client of another make publishes one by one; what does not fit is left for it to refuse, in its place', () => {
  const sent: string[] = [];
  const publish = (subject: string, body: string, { headers }: { headers: { encode(): Uint8Array } }) =>
    void sent.push(`${subject} ${Buffer.from(headers.encode())}${body}`);
  const other = new Batch(
    { info: INFO, publish, protocol: { sendCommand: 1 } } as unknown as NatsConnection,
    's: 1\r\n',
  );
  other.add('a', 'k: v\r\n', '{}', 2);
  other.flush();
  expect(sent).toEqual(['a NATS/1.0\r\ns: 1\r\nk: v\r\n\r\n{}']);

  const protocol = { sendCommand: () => void sent.push('batch'), outMsgs: 0, outBytes: 0 };
  const batch = new Batch({ info: INFO, publish, protocol } as unknown as NatsConnection, '');
  batch.add('a', '', '{}', 2);
  batch.add('b', '', 'x'.repeat(1000), 1000);
  expect(sent.slice(1)).toEqual(['batch', `b NATS/1.0\r\n\r\n${'x'.repeat(1000)}`]);
});
