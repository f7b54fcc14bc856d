import { connectBus } from '../../libs/bus/connect.ts';
import { rawHeaders } from '../../libs/bus/raw-headers.ts';
import { encodeLines } from '../../libs/protocol/envelope.ts';
import { answer } from './children.ts';
import { monotonicMs } from './harness.ts';

/** The floor of announcement.ts, in a process of its own as the registry is: a bare publish, then a bare message. */
const [servers = '', records = '', news = '', ...sizes] = process.argv.slice(2);
const [recordHeaders = 0, recordBody = 0, newsHeaders = 0, newsBody = 0] = sizes.map(Number);
const nc = await connectBus({ servers, name: 'floor' });
const announcer = await connectBus({ servers, name: 'floor-announcer' });

const padding = (length: number): string => `padding: ${'x'.repeat(Math.max(1, length))}\r\n`;
const recordPadding = padding(recordHeaders - 100);
const newsLines = encodeLines(padding(newsHeaders - 25));
const record = Buffer.alloc(recordBody, 'x');
const announcement = Buffer.alloc(newsBody, 'x');
let last = 0;

async function publish(): Promise<object> {
  const beganMs = monotonicMs();
  const lines = `Nats-Msg-Id: m${last}\r\nNats-Expected-Last-Sequence: ${last++}\r\n${recordPadding}`;
  const message = await nc.request(records, record, { headers: rawHeaders(encodeLines(lines)), timeout: 10_000 });
  const ack = message.json<{ seq?: number }>();
  if (!ack.seq) throw new Error(`the floor's publish was refused: ${message.string()}`);
  announcer.publish(news, announcement, { headers: rawHeaders(newsLines) });
  return { beganMs };
}

answer(publish, async () => {
  await Promise.all([nc.close(), announcer.close()]);
});
