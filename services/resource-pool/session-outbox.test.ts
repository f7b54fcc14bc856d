import { expect, test } from 'vitest';
import { SessionOutbox } from './session-outbox.ts';

test('what is decided together is answered in one message, however long each takes to tell, and in the same turn', async () => {
  const outbox = new SessionOutbox();
  const message = outbox.messages().next();
  let hasTurned = false;
  setImmediate(() => {
    hasTurned = true;
  });
  const answerAfter = async (steps: number) => {
    for (let step = 0; step < steps; step++) await undefined;
    outbox.answer({ number: String(steps) });
  };
  for (const steps of [1, 5, 20]) void answerAfter(steps);
  expect(await message).toMatchObject({ value: { answers: [{ number: '1' }, { number: '5' }, { number: '20' }] } });
  expect(hasTurned).toBe(false);
});
