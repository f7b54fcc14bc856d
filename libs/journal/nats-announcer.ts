import type { NatsConnection } from '@nats-io/nats-core';
import { type Span, SpanKind } from '@opentelemetry/api';
import { Batch } from '../bus/batch.ts';
import { eventLines, traceLines } from '../protocol/envelope.ts';
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
      if (nc.isClosed() || nc.isDraining()) return;
      const batch = new Batch(nc);
      for (const announcement of announcements) {
        const { type, key, json, bytes, at, epoch } = announcement;
        const { revision, index, time } = at;
        const event = {
          id: `${revision}.${index}`,
          type: `hivebus.${service}.${type}`,
          source,
          timeMs: time,
          subject: key,
        };
        const subject = announcementSubject(federation, service, type, key);
        const isTraced = isSampled(announcement.trace.traceparent);
        const span = isTraced
          ? publishing(announcement, service, subject, announcementSubject(federation, service, type, ''))
          : undefined;
        const trace = span ? { ...announcement.trace, traceparent: traceparentOf(span, '') } : announcement.trace;
        const lines = `hive-epoch: ${epoch}\r\nhive-revision: ${revision}\r\nhive-index: ${index}\r\n${eventLines(event)}${traceLines(trace)}`;
        batch.add(subject, lines, json, bytes);
        span?.end();
      }
      batch.flush();
    },
  };
}

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
