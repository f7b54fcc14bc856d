import { expect, test } from 'vitest';
import { othersText } from './tasks.ts';

test('what ends with a task is named, and of many how many more', () => {
  const text = (endsToo: string[], endsTooTotal = endsToo.length) =>
    othersText({ task: undefined, revision: '1', endsToo, endsTooTotal });
  expect(text([])).toBe('');
  expect(text(['b'])).toBe('with it ends 1 that waits for it: b');
  expect(text(['b', 'c'])).toBe('with it end 2 that wait for it: b, c');
  expect(text([...'bcdefg'], 30)).toBe('with it end 30 that wait for it: b, c, d, e, f, and 25 more');
});
