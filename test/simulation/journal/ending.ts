import { Replica } from '../../../libs/journal/replica.ts';
import { restore } from '../../../libs/journal/snapshots.ts';
import type { Clients } from './clients.ts';
import { ledger } from './ledger.ts';
import type { Outside } from './outside.ts';
import type { Scene } from './scene.ts';
import { dump } from './truth.ts';

/** Does everybody know everything, and is nothing owed any more? */
export function isSettled({ contenders, stream }: Scene): boolean {
  return contenders.every(({ runner, node }) => {
    if (node.dead || runner.revision < stream.last) return false;
    if (runner.role !== 'leader' && runner.role !== 'standby') return false;
    return runner.state.effects.size === 0 && runner.state.lines.size === 0;
  });
}

/** Holds what is left of a history that has ended against the log. */
export function checkEnd(scene: Scene, clients: Clients, outside: Outside): void {
  scene.truth.catchUp();
  if (!isSettled(scene)) {
    const roles = scene.contenders.map(
      ({ runner }) => `${runner.role} at ${runner.revision} ${runner.failure?.message ?? ''}`,
    );
    scene.violate(
      `not settled at the end (${clients.running} clients run): ${roles.join(', ')}, the log ends at ${scene.stream.last}`,
    );
    return;
  }
  checkRequests(scene, clients);
  checkOnce(scene, clients);
  for (const debt of scene.truth.debts) if (!outside.paid.has(debt)) scene.violate(`${debt} was never paid`);
  checkReplays(scene);
}

/** What was asked for once was done once at most, as its caller was told. */
function checkOnce(scene: Scene, { once }: Clients): void {
  for (const [tag, heard] of once) {
    const times = scene.truth.lines.get(tag) ?? 0;
    const isRight = heard === 'nothing' ? times <= 1 : times === (heard === 'done' ? 1 : 0);
    if (!isRight) scene.violate(`of ${tag} was heard: ${heard}, and it is in the log ${times} times`);
  }
}

/** Each is in the log once or not at all, as its caller was told. */
function checkRequests(scene: Scene, { acked, dropped }: Clients): void {
  const { requests, keptForWantOfRoom } = scene.truth;
  for (const [request, { times }] of requests) {
    if (times !== 1) scene.violate(`${request} is in the log ${times} times`);
  }
  for (const request of keptForWantOfRoom) scene.violate(`${request} was kept though there was no room`);
  for (const request of dropped) {
    if (requests.has(request)) scene.violate(`of ${request} nothing was done, it was said, and it is in the log`);
  }
  for (const request of acked.keys()) {
    if (!requests.has(request)) scene.violate(`${request} was acked and is not in the log`);
  }
}

/** Every replica, and a replay from the beginning or from any snapshot, has the same state. */
function checkReplays(scene: Scene): void {
  const { contenders, stream, snapshots, truth } = scene;
  const whole = new Replica(ledger);
  for (const entry of stream.history) whole.take(entry);
  const lines = whole.state.totals.get('lines')?.value;
  if (lines !== (truth.totals.at(-1) || undefined))
    scene.violate(`replay counts ${lines} lines, the log ${truth.totals.at(-1)}`);
  for (const { runner } of contenders) {
    if (dump(ledger.tables(runner.state)) !== dump(ledger.tables(whole.state)))
      scene.violate(`a ${runner.role} differs from the log`);
  }
  const expected = dump(whole.tables());
  for (const [name, content] of snapshots.ever) {
    const replica = restore(ledger, name, content, 'one');
    for (const entry of stream.history.slice(replica.seq)) replica.take(entry);
    if (dump(replica.tables()) !== expected) scene.violate(`replay from snapshot ${name} differs from the log`);
  }
}
