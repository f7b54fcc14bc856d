import type { Command } from 'commander';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { eventLine, isShown, toEvent } from '../event-line.ts';
import { followConnection } from '../outage.ts';

interface EventOptions {
  all?: boolean;
  service?: string;
  swarm?: string;
  task?: string;
}

export function addEvents(program: Command): void {
  program
    .command('events')
    .description('what happens, live, until interrupted')
    .option('--service <name>', 'only of this service: registry or pool')
    .option('--swarm <name>', 'only what concerns this swarm')
    .option('--task <id>', 'only what concerns this task')
    .option('--all', 'heartbeats, task output, calls and journal records too')
    .action(action(events, { heedsSignal: true }));
}

async function events(context: Context, options: EventOptions): Promise<void> {
  const { output, signal, federation } = context;
  await withHive(context, async ({ nc }) => {
    // Everything of a federation, as `nats sub` would show it.
    const subject = `hive.${federation}.>`;
    const subscription = nc.subscribe(subject);
    signal.addEventListener('abort', () => subscription.unsubscribe(), { once: true });
    void followConnection(nc, context, 'what happened in between is not shown');
    output.note(`listening on ${subject} at ${context.nats}; Ctrl-C ends`);
    for await (const message of subscription) {
      const event = toEvent(message);
      if (isShown(event, options)) output.line(event, () => eventLine(event));
    }
  });
}
