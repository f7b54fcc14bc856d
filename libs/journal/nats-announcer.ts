import type { NatsConnection } from '@nats-io/nats-core';
import { rawHeaders } from '../bus/raw-headers.ts';
import { encodeLines, eventLines, traceLines } from '../protocol/envelope.ts';
import { announcementSubject } from '../protocol/subjects.ts';
import type { Announcer } from './ports.ts';

/** Committed events as core NATS messages. They may be lost or repeated; epoch, revision and index tell which is which. */
export function natsAnnouncer(nc: NatsConnection, federation: string, service: string): Announcer {
  const source = `/hivebus/${federation}/${service}`;
  return {
    announce(announcements) {
      if (nc.isClosed()) return;
      for (const { type, key, json, at, epoch, trace } of announcements) {
        const { revision, index, time } = at;
        const event = {
          id: `${revision}.${index}`,
          type: `hivebus.${service}.${type}`,
          source,
          timeMs: time,
          subject: key,
        };
        const lines = `hive-epoch: ${epoch}\r\nhive-revision: ${revision}\r\nhive-index: ${index}\r\n${eventLines(event)}${traceLines(trace)}`;
        const subject = announcementSubject(federation, service, type, key);
        nc.publish(subject, Buffer.from(json), { headers: rawHeaders(encodeLines(lines)) });
      }
    },
  };
}
