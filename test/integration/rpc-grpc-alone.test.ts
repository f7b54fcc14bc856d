import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { expect, test } from 'vitest';

const module = (path: string) => JSON.stringify(new URL(`../../dist/libs/${path}`, import.meta.url).href);

/** A program that has nothing open but what it opens here, which is at a port where nobody listens. */
async function run(script: string): Promise<{ code: unknown; said: string }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said, [code]] = await Promise.all([text(child.stdout), once(child, 'close')]);
  return { code, said };
}

const NOWHERE = "'127.0.0.1:1'";
const CLIENT = `
  const { createGrpcClient } = await import(${module('rpc/grpc-client.js')});
  const { RegistryServiceService } = await import(${module('wire/hivebus/registry/v1/registry.js')});
  const client = createGrpcClient(${NOWHERE}, RegistryServiceService);
`;

test('a program that waits for an answer over gRPC lives until it is told that there is none', async () => {
  const told = 'client.listSwarms({}, { timeoutMs: 500 }).catch((error) => console.log(error.code))';
  expect(await run(`${CLIENT} await ${told};`)).toEqual({ code: 0, said: 'UNAVAILABLE\n' });
});

test('so does one that goes on asking until its call is settled', async () => {
  const program = `
    ${CLIENT}
    const { untilSettled } = await import(${module('sdk/retry.js')});
    const { systemClock: clock } = await import(${module('kernel/clock.js')});
    const ending = new AbortController();
    let retries = 0;
    const onRetry = ({ code }) => { console.log(code); if (++retries === 2) ending.abort(); };
    const call = () => client.listSwarms({}, { timeoutMs: 100 });
    await untilSettled(call, { clock, signal: ending.signal, onRetry }).catch(() => console.log('ended'));
  `;
  expect(await run(program)).toEqual({ code: 0, said: 'UNAVAILABLE\nUNAVAILABLE\nended\n' });
});

test('and one whose session finds nobody yet', async () => {
  const program = `
    const { openPoolSession } = await import(${module('sdk/pool-session.js')});
    let breaks = 0;
    const onBreak = () => { if (++breaks === 3) { console.log('three'); process.exit(0); } };
    const session = openPoolSession({ addresses: [${NOWHERE}], token: () => '', onBreak });
    await session.call('getTask', { id: 't-1' });
  `;
  expect(await run(program)).toEqual({ code: 0, said: 'three\n' });
});
