import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { compiled } from './processes.ts';

/** A part of a benchmark in a process of its own: asked one thing after the other. It ends with us. */
export interface Child extends AsyncDisposable {
  ask<Answer>(question: object): Promise<Answer>;
}

/** Runs `dist/test/bench/<name>.js`, which must call `answer`, with `args`; resolves when it is ready. */
export async function startChild(
  name: string,
  args: readonly string[] = [],
  options: { execArgv?: string[]; env?: NodeJS.ProcessEnv } = {},
): Promise<Child> {
  const { execArgv = [], env = {} } = options;
  const child = fork(compiled(`test/bench/${name}.js`), args, { execArgv, env: { ...process.env, ...env } });
  const exited = once(child, 'exit');
  await heard(child);
  return {
    async ask<Answer>(question: object) {
      child.send(question);
      return (await heard(child)) as Answer;
    },
    async [Symbol.asyncDispose]() {
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}

function heard(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    const onExit = (code: number | null) => reject(new Error(`${child.spawnargs.join(' ')} ended with ${code}`));
    child.once('exit', onExit);
    child.once('message', (message) => {
      child.off('exit', onExit);
      resolve(message);
    });
  });
}

/** In the child: answers each question; `end` is called when nobody asks any more. */
export function answer<Question>(reply: (question: Question) => Promise<object>, end: () => Promise<void>): void {
  process.on('message', (question) => void reply(question as Question).then((given) => process.send?.(given)));
  process.once('disconnect', () => void end());
  process.send?.({ ready: true });
}
