import { expect, test } from 'vitest';
import { nearest } from './nearest.ts';

test('what differs by a third at most is meant, and letters that have changed places are one slip', () => {
  const names = ['docs', 'quality', 'ml-trainer'];
  expect(nearest('dcos', names)).toBe('docs');
  expect(nearest('ml-traner', names)).toBe('ml-trainer');
  expect(nearest('Quality', names)).toBe('quality');
  expect(nearest('dxyz', names)).toBeUndefined();
  expect(nearest('', names)).toBeUndefined();
});
