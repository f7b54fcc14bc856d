import { errors } from '@nats-io/nats-core';
import { expect, test } from 'vitest';
import { connectBus } from '../../libs/bus/connect.ts';
import { Informer } from '../../libs/journal/informer.ts';
import { Closing } from '../../libs/service/closing.ts';
import { SimTime } from '../../libs/testkit/sim/clock.ts';
import { until } from '../../libs/testkit/until.ts';
import { busClient, clientSide, type Methods, openBus, serveOnBus, server, watchAnswer } from './rpc-harness.ts';

/**
 * The replica that serves a stream is killed: its connection is gone, and it says nothing. Who follows finds out on a clock of
 * his own, which goes on only as the test says: so it is told how long he would have waited, however busy the machine is.
 */

openBus();

/** A replica that gives each watcher one item for each call of `say`. */
async function replica(closing: Closing) {
  const nc = await connectBus({ servers: server.url, name: 'replica', jetStream: false });
  closing.use({ [Symbol.asyncDispose]: () => nc.close() });
  const watchers = new Set<() => void>();
  let revision = 1;
  const methods: Methods = {
    async *watchSwarms() {
      for (let told = 0; ; ) {
        if (told === revision) await new Promise<void>((resolve) => watchers.add(resolve));
        told = revision;
        yield watchAnswer(told);
      }
    },
  };
  await serveOnBus(methods, { nc });
  const say = () => {
    revision++;
    for (const tell of [...watchers]) tell();
    watchers.clear();
  };
  const kill = async () => {
    await nc.close();
    await until(isNobodyThere);
  };
  return { say, watchers, kill };
}

/** Does the server of the bus know that a connection is gone? */
const isNobodyThere = (): Promise<boolean> =>
  clientSide.request('hive.main.rpc.registry.ListSwarms', '{}').then(
    () => false,
    (error: unknown) => error instanceof errors.RequestError && error.isNoResponders(),
  );

/** A client on a clock of its own. */
function follower() {
  const time = new SimTime();
  const clock = time.clock({ dead: false, pausedUntil: 0, cutOff: undefined }, 0);
  const client = busClient({ clock });
  /** Lets time go by until something holds; gives how long that took, on that clock. */
  const passesUntil = async (holds: () => boolean, mostMs: number) => {
    const beganAt = time.now;
    while (!holds() && time.now < beganAt + mostMs) {
      await time.run(time.now + 10);
      await clientSide.flush(); // what was asked is answered before time goes on
    }
    return time.now - beganAt;
  };
  const follow = (closing: Closing) => {
    const told = { items: 0, faults: [] as (string | undefined)[] };
    const source = {
      list: async () => ({ items: [], revision: '1' }),
      watch: (fromRevision: string, signal: AbortSignal) => client.watchSwarms({ fromRevision }, { signal }),
      keyOf: () => '',
    };
    const watch = async function* (from: string, signal: AbortSignal) {
      for await (const { revision } of source.watch(from, signal)) {
        told.items++;
        yield { revision, changed: [], removed: [] };
      }
    };
    const onStatus = (error: { reason: string | undefined } | undefined) =>
      void (error && told.faults.push(error.reason));
    closing.use(new Informer({ ...source, watch }, { clock, onStatus }));
    return told;
  };
  return { passesUntil, follow };
}

test('who follows what happens all the time goes on with another replica, soon after his own was killed', async () => {
  await using closing = new Closing();
  const first = await replica(closing);
  const { passesUntil, follow } = follower();
  const told = follow(closing);
  await until(() => first.watchers.size === 1);
  for (let i = 2; i <= 20; i++) {
    first.say();
    await until(() => told.items === i);
    await until(() => first.watchers.size === 1);
    await passesUntil(() => false, 100);
  }
  await first.kill();
  const second = await replica(closing);
  expect(await passesUntil(() => told.faults.length > 0, 60_000)).toBeLessThanOrEqual(510);
  await passesUntil(() => second.watchers.size > 0, 60_000);
  expect(told.faults).toEqual(['STREAM_BROKEN']);
});

test('when one of many who follow what happens rarely finds out, the others do', async () => {
  await using closing = new Closing();
  const first = await replica(closing);
  const { passesUntil, follow } = follower();
  const all: { readonly faults: readonly (string | undefined)[] }[] = [];
  for (let i = 1; i <= 4; i++) {
    all.push(follow(closing));
    await until(() => first.watchers.size === i);
    await passesUntil(() => false, 1300);
  }
  await first.kill();
  await passesUntil(() => all.some(({ faults }) => faults.length > 0), 60_000);
  await until(() => all.every(({ faults }) => faults[0] === 'STREAM_BROKEN'));
});
