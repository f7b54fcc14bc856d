import { spawnSync } from 'node:child_process';
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { natsServerPath } from '../../libs/service/nats-binary.ts';
import { until } from '../../libs/testkit/until.ts';
import { Playground } from './hivebus.ts';

/** Contexts, and what a shell completes. */

const PATIENCE_MS = 60_000;
const MAIN = fileURLToPath(new URL('../../dist/cli/main.js', import.meta.url));
const playground = new Playground();

beforeAll(async () => {
  await playground.up();
  await playground.run(['federation', 'join', '--swarm', 'code']);
});
afterAll(() => playground[Symbol.asyncDispose]());

const run = async (...args: string[]) => {
  const { code, stdout, stderr } = await playground.run(args);
  return `${code} ${stdout}${stderr}`;
};

test('a context is made, named, used and forgotten', async () => {
  const { nats } = await playground.json<{ nats: { url: string } }>(['status']);
  expect(await run('context', 'set', 'here', '--nats', nats.url, '--home', '.hivebus')).toContain(
    '0 context here is made',
  );
  await run('context', 'set', 'gone', '--nats', 'nats://127.0.0.1:1', '--federation', 'research');
  expect(await run('--context', 'here', 'get', 'swarms', '-o', 'name')).toBe('0 swarm/code\n');
  expect(await run('--context', 'heree', 'get', 'swarms')).toMatch(/^4 .*did you mean here\?/);
  await run('context', 'use', 'gone');
  expect(await run('get', 'swarms')).toMatch(/^3 .*nothing runs at nats:\/\/127.0.0.1:1/);
  expect(await run('--context', 'here', 'task', 'submit', '--swarm', 'code', '--type', 'x', '--id', 't')).toBe('0 t\n');
  const list = await playground.json<{ name: string; current: boolean }[]>(['context', 'list']);
  expect(list).toMatchObject([
    { name: 'here', current: false },
    { name: 'gone', current: true, federation: 'research' },
  ]);
  await run('context', 'delete', 'gone');
  expect(await run('get', 'tasks', '-o', 'name')).toBe('0 task/t\n'); // the folder's own is found again
  expect(await run('context', 'use', 'gone')).toMatch(/^4 /);
  expect(await run('context', 'use')).toMatch(/^2 /);
});

/** What a shell gets to see. */
const words = async (...typed: string[]) => {
  const { stdout } = await playground.run(['__complete', '--', ...typed]);
  return stdout.split('\n').map((line) => line.split('\t')[0]);
};

/** Names that come too late are left out, as on a busy machine. */
const offered = (word: string, ...typed: string[]) =>
  until(async () => (await words(...typed)).includes(word), PATIENCE_MS);

test('commands, kinds and live names are completed', async () => {
  expect(await words('')).toEqual(expect.arrayContaining(['apply', 'doctor', 'explain', 'watch']));
  expect(await words('')).not.toContain('__complete');
  await offered('code', 'get', 'swarm', '');
  for (const command of ['task get', 'task logs', 'task cancel', 'explain'])
    await offered('t', ...command.split(' '), '');
  await run('task', 'submit', '--swarm', 'code', '--type', 'x', '--id', 'over');
  await run('task', 'cancel', 'over');
  await offered('over', 'task', 'get', '');
  await offered('t', 'task', 'cancel', '');
  expect(await words('task', 'cancel', '')).not.toContain('over');
  await offered('code', 'deregister-swarm', '');
  await offered('here', 'context', 'use', '');
});

test.each(['bash', 'zsh', 'fish'])('the script for %s is one, as far as the shell is here', async (shell) => {
  const { stdout } = await playground.run(['completion', shell]);
  expect(stdout).toContain('__complete');
  const file = join(playground.folder, `completion.${shell}`);
  writeFileSync(file, stdout);
  const { error, status, stderr } = spawnSync(shell, ['-n', file], { encoding: 'utf8' });
  if (error) console.log(`skipped: there is no ${shell} here, so its script was not read by it`);
  else expect([status, stderr]).toEqual([0, '']);
});

/** How each shell is made to complete `hivebus get swarm c`, and what it says then. */
const TYPED: Readonly<Record<string, { script: string; says: string }>> = {
  bash: {
    script: [
      'source <(hivebus completion bash); COMP_WORDS=(hivebus get swarm c); COMP_CWORD=3; _hivebus',
      'IFS=" "; echo "$' + '{COMPREPLY[*]}"',
    ].join('\n'),
    says: 'code\n',
  },
  // A zsh on a terminal of its own, whose line is read back; each reading waits until what is meant has come.
  zsh: {
    script: [
      'zmodload zsh/zpty; zpty shell "TERM=dumb zsh -f -i"',
      'zpty -w shell \'autoload -U compinit; compinit -u -D; source <(hivebus completion zsh); print READ"Y"\'',
      'zpty -r shell said "*READY*" && zpty -w -n shell "hivebus get swarm c"$\'\\t\'',
      'zpty -r shell said "*swarm code *" && print completed; zpty -d shell',
    ].join('\n'),
    says: 'completed\n',
  },
  fish: {
    script: "hivebus completion fish | source; complete -C 'hivebus get swarm c'",
    says: 'code\tswarm\n',
  },
};
/** How long a shell may take before it is asked again: names that come too late are left out. */
const SHELL_MS = 15_000;

test.each(Object.keys(TYPED))('%s completes what is typed, as far as the shell is here', async (shell) => {
  if (spawnSync(shell, ['--version']).error) {
    console.log(`skipped: there is no ${shell} here, so nothing was typed into it`);
    return;
  }
  const bin = join(playground.folder, 'bin');
  mkdirSync(bin, { recursive: true });
  const launcher = join(bin, 'hivebus');
  writeFileSync(launcher, `#!/bin/sh\nexec "${process.execPath}" "${MAIN}" "$@"\n`);
  chmodSync(launcher, 0o755);
  const env = {
    ...process.env,
    PATH: `${bin}:${process.env.PATH}`,
    HOME: playground.folder,
    HIVEBUS_NATS_SERVER: natsServerPath(),
  };
  const { script = '', says } = TYPED[shell] ?? {};
  const options = { cwd: playground.folder, env, encoding: 'utf8', timeout: SHELL_MS } as const;
  await until(() => spawnSync(shell, ['-c', script], options).stdout === says, PATIENCE_MS);
});
