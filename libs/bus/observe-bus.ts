import type { NatsConnection } from '@nats-io/nats-core';
import { metrics, type ObservableResult } from '@opentelemetry/api';
import { Link } from './link.ts';

/** What goes over a connection, and how often it was lost, for metrics; until the connection is closed. */
export function observeBus(nc: NatsConnection, connection: string): void {
  const meter = metrics.getMeter('hivebus');
  const messages = meter.createObservableCounter('bus_messages_total', {
    description: 'Messages over the connection to the bus, by direction',
  });
  const bytes = meter.createObservableCounter('bus_bytes_total', {
    description: 'Bytes over the connection to the bus, by direction',
  });
  const losses = meter.createCounter('bus_disconnects_total', {
    description: 'How often the connection to the bus was lost',
  });
  losses.add(0, { connection }); // there from the start, so that the first loss is an increase
  const ofMessages = (result: ObservableResult) => {
    const { inMsgs, outMsgs } = nc.stats();
    result.observe(inMsgs, { connection, direction: 'in' });
    result.observe(outMsgs, { connection, direction: 'out' });
  };
  const ofBytes = (result: ObservableResult) => {
    const { inBytes, outBytes } = nc.stats();
    result.observe(inBytes, { connection, direction: 'in' });
    result.observe(outBytes, { connection, direction: 'out' });
  };
  messages.addCallback(ofMessages);
  bytes.addCallback(ofBytes);
  Link.of(nc).whenLost(() => losses.add(1, { connection }));
  void nc.closed().then(() => {
    messages.removeCallback(ofMessages);
    bytes.removeCallback(ofBytes);
  });
}
