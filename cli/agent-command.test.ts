import { expect, test } from 'vitest';
import { commandOf } from './agent-command.ts';

test('a command for the shell, or a program with its arguments', () => {
  expect(commandOf([], { exec: 'echo 1' })).toEqual(['sh', '-c', 'echo 1']);
  expect(commandOf(['sh', '-x'], {})).toEqual(['sh', '-x']);
  expect(commandOf([], { allowScripts: true })).toBeUndefined();
});

test.each([
  'cat',
  'if true; then :; fi',
  '[ 1 ]',
  'A=1 b',
  '"my program"',
  '$HOME/x',
  '(cd /)',
  'true; nothing',
  '/bin/sh',
])('%j is taken by the shell', (exec) => {
  expect(commandOf([], { exec })).toEqual(['sh', '-c', exec]);
});

test.each([
  [[], { exec: '' }, /--exec: "" must be a command/],
  [[], { exec: ' \t' }, /--exec: .* must be a command/],
  [[], { exec: 'no-such-program --x' }, /--exec: "no-such-program" is no program that the shell finds/],
  [[], { exec: './no-such-file | cat' }, /--exec: "\.\/no-such-file"/],
  [['no-such-program'], {}, /the command after --: "no-such-program" is no program that the PATH has/],
  [['/etc/passwd'], {}, /the command after --: "\/etc\/passwd"/],
  [['/etc'], {}, /the command after --/],
  [[''], {}, /the command after --: ""/],
  [['sh'], { exec: 'cat' }, /not both/],
  [[], {}, /what shall it run/],
])('%j %j is refused at the start', (words, options, message) => {
  expect(() => commandOf(words, options)).toThrow(message);
});
