import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Clock } from '../kernel/clock.ts';
import type { Principal } from '../protocol/principal.ts';
import type { Waiting } from './group.ts';
import { Lanes } from './lanes.ts';

const PLACES = 60;
const OF_NEW = 30;
const trace = { traceparent: '', correlationId: '', hops: 0 };
const { signal } = new AbortController();

const CALLERS = [0, 1, 2, 3, 4];
/** The first one is the service itself; a new object each time. */
const principal = (caller: number): Principal =>
  caller === 0 ? { kind: 'service', name: 'desk' } : { kind: 'swarm', swarm: `s-${caller}`, key: 'k' };

interface Command {
  readonly caller: number;
  readonly isNew: boolean;
}

/** What waits, as simply as it can be said. */
class Model {
  waiting: Command[] = [];

  /** Has this command a place? */
  admits({ caller, isNew }: Command): boolean {
    const sameLane = this.waiting.filter((other) => other.isNew === isNew);
    const free = isNew ? OF_NEW - sameLane.length : PLACES - this.waiting.length;
    const held = sameLane.filter((other) => other.caller === caller).length;
    return free > 0 && (caller === 0 || held < 2 * free);
  }
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      caller: fc.constantFrom(...CALLERS),
      isNew: fc.boolean(),
      count: fc.integer({ min: 1, max: 70 }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ decided: fc.integer({ min: 1, max: 40 }) }) },
  { weight: 1, arbitrary: fc.constant('ended' as const) },
);

test('who has his share is refused, nobody else, and each has it again when what waited was taken', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const lanes = new Lanes({ monotonic: () => 0 } as Clock, 'desk', new Set(['submit']), PLACES);
      const model = new Model();
      const commands = new Map<Waiting, Command>();
      const add = (command: Command) => {
        const name = command.isNew ? 'submit' : 'report';
        const call = { principal: principal(command.caller), trace, signal };
        const waiting: Waiting = { kind: 'command', name, input: {}, call, settle: () => {} };
        const isAdmitted = model.admits(command);
        expect(lanes.add(waiting) === undefined).toBe(isAdmitted);
        if (!isAdmitted) return;
        commands.set(waiting, command);
        model.waiting.push(command);
      };
      const takeOut = (waiting: Waiting) => {
        model.waiting = model.waiting.filter((other) => other !== commands.get(waiting));
      };
      for (const each of steps) {
        if (each === 'ended') for (const waiting of lanes.takeAll()) takeOut(waiting);
        else if ('decided' in each) {
          let left = each.decided;
          lanes.gather((waiting) => {
            if (left-- === 0) return false;
            takeOut(waiting);
            return true;
          });
        } else for (let i = 0; i < each.count; i++) add({ caller: each.caller, isNew: each.isNew });
        expect(lanes.size).toBe(model.waiting.length);
      }
    }),
  );
});
