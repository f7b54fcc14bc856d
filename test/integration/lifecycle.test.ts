import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect, test } from 'vitest';

const module = (path: string) => JSON.stringify(new URL(`../../dist/libs/service/${path}`, import.meta.url).href);

/** A process whose main opens two things and waits; `extra` runs once they are open. */
const script = (extra: string, closing = '') => `
  const { run, aborted } = await import(${module('lifecycle.js')});
  const log = (fields, message) => console.log(message);
  const open = (name) => ({ [Symbol.asyncDispose]: async () => { ${closing}; console.log('closed ' + name); } });
  setInterval(() => {}, 1000); // a handle that nobody closes must not keep it alive
  run(async (signal) => {
    const stack = [open('first'), open('second')];
    try {
      console.log('open');
      ${extra}
      await aborted(signal);
    } finally {
      for (const each of stack.reverse()) await each[Symbol.asyncDispose]();
    }
  }, { log: { info: log, error: log, fatal: log }, stopMs: 300 });
`;

interface Run {
  readonly child: ChildProcess;
  readonly ended: Promise<{ code: number | null; lines: string[] }>;
}

async function start(text: string): Promise<Run> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', text], { stdio: ['ignore', 'pipe', 'inherit'] });
  let output = '';
  const open = new Promise<void>((resolve) => {
    child.stdout.on('data', (data) => {
      output += data;
      if (output.includes('open\n')) resolve();
    });
  });
  const ended = once(child, 'close').then(([code]) => ({
    code: code as number | null,
    lines: output.trim().split('\n'),
  }));
  await Promise.race([open, ended]);
  return { child, ended };
}

test.each(['SIGTERM', 'SIGINT'] as const)('%s closes everything in reverse order; exit code 0', async (signal) => {
  const { child, ended } = await start(script(''));
  child.kill(signal);
  expect(await ended).toEqual({
    code: 0,
    lines: ['open', 'stopping; a second signal ends at once', 'closed second', 'closed first'],
  });
});

test('a second signal ends it at once', async () => {
  const { child, ended } = await start(script('', 'process.stdout.write("closing\\n"); await new Promise(() => {})'));
  child.stdout?.on('data', (data) => String(data).includes('closing') && child.kill('SIGTERM'));
  child.kill('SIGTERM');
  expect((await ended).code).toBe(143);
});

test('stopping that hangs ends after the stated time; exit code 1', async () => {
  const { child, ended } = await start(script('', 'await new Promise(() => {})'));
  child.kill('SIGTERM');
  const { code, lines } = await ended;
  expect(code).toBe(1);
  expect(lines.at(-1)).toBe('stopping took too long, ending now');
});

test.each([
  ["setTimeout(() => { throw new Error('oops'); });", 'an error that nobody caught: oops; ending now'],
  ["void Promise.reject(new Error('oops'));", 'a rejection that nobody caught: oops; ending now'],
])('what nobody caught ends it at once, with the reason; exit code 1: %s', async (code, reason) => {
  const { ended } = await start(script(code, 'await new Promise(() => {})'));
  expect(await ended).toEqual({ code: 1, lines: ['open', reason] });
});

test('a main that fails ends with exit code 1', async () => {
  const { ended } = await start(script("throw new Error('oops');"));
  expect(await ended).toEqual({ code: 1, lines: ['open', 'closed second', 'closed first', 'failed'] });
});
