import type { NatsConnection } from '@nats-io/nats-core';
import { type Span, SpanKind } from '@opentelemetry/api';
import { Batch } from '../bus/batch.ts';
import { originLines, traceLines } from '../protocol/envelope.ts';
import { announcementSubject } from '../protocol/subjects.ts';
import { ATTRIBUTE, messaging } from '../telemetry/attributes.ts';
import { startSampled, traceparentOf } from '../telemetry/span.ts';
import { isSampled } from '../telemetry/traceparent.ts';
import type { Announcement, Announcer } from './ports.ts';

/** Committed events as core NATS messages. They may be lost or repeated; epoch, revision and index tell which is which. */
export function natsAnnouncer(nc: NatsConnection, federation: string, service: string): Announcer {
  const source = `/hivebus/${federation}/${service}`;
  return {
    announce(announcements) {
      const [first] = announcements;
      if (!first || nc.isClosed() || nc.isDraining()) return;
      const batch = new Batch(nc, sharedLines(first, source));
      for (const announcement of announcements) {
        const { type, key, json, bytes, at } = announcement;
        const { revision, index } = at;
        const subject = announcementSubject(federation, service, type, key);
        const isTraced = isSampled(announcement.trace.traceparent);
        const span = isTraced
          ? publishing(announcement, service, subject, announcementSubject(federation, service, type, ''))
          : undefined;
        const trace = span ? { ...announcement.trace, traceparent: traceparentOf(span, '') } : announcement.trace;
        const about = key === '' ? '' : `ce-subject: ${key}\r\n`;
        const own = `hive-index: ${index}\r\nce-id: ${revision}.${index}\r\nce-type: hivebus.${service}.${type}\r\n${about}`;
        batch.add(subject, own + traceLines(trace), json, bytes);
        span?.end();
      }
      batch.flush();
    },
  };
}

/** What all announcements of one record have in common. */
const sharedLines = ({ epoch, at }: Announcement, source: string): string =>
  `hive-epoch: ${epoch}\r\nhive-revision: ${at.revision}\r\n${originLines({ source, timeMs: at.time })}`;

function publishing(announcement: Announcement, service: string, subject: string, template: string): Span | undefined {
  const { at, epoch, trace, bytes } = announcement;
  return startSampled(`publish ${template}`, trace.traceparent, {
    kind: SpanKind.PRODUCER,
    attributes: {
      ...messaging({ name: 'publish', type: 'send', subject, template, trace, service }),
      [ATTRIBUTE.messageId]: `${at.revision}.${at.index}`,
      [ATTRIBUTE.bodySize]: bytes,
      [ATTRIBUTE.revision]: at.revision,
      [ATTRIBUTE.epoch]: epoch,
    },
  });
}
