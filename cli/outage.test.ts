import { expect, test } from 'vitest';
import { Outage } from './outage.ts';

test('an outage is told once, and its end once, with how long it took', () => {
  const said: string[] = [];
  let now = 0;
  const output = { note: (text: string) => said.push(text) } as never;
  const outage = new Outage({ output }, () => now);
  outage.back();
  outage.lost({ message: 'the connection is lost' });
  now = 3200;
  outage.lost({ message: 'nobody answers' });
  outage.back();
  outage.back('something was missed');
  outage.lost({ message: 'again' });
  outage.back('something was missed');
  expect(said).toEqual([
    'the connection is lost; waiting until it is back',
    'back after 3.2s',
    'again; waiting until it is back',
    'back after 0ms; something was missed',
  ]);
});
