import { expect, test } from 'vitest';
import { startHealth } from './health.ts';

const host = '127.0.0.1';

test('ready while every check holds and nobody asked to stop; alive throughout', async () => {
  const stopping = new AbortController();
  let journal: string | undefined = 'catching up';
  const checks = { journal: () => journal };
  await using health = await startHealth({ host, port: 0, checks, signal: stopping.signal });
  const get = async (path: string) => {
    const response = await fetch(`http://${host}:${health.port}${path}`);
    return [response.status, await response.json()];
  };
  expect(await get('/readyz')).toEqual([503, { ok: false, missing: { journal: 'catching up' } }]);
  expect(await get('/livez')).toEqual([200, { ok: true, missing: {} }]);
  journal = undefined;
  expect(await get('/readyz?verbose')).toEqual([200, { ok: true, missing: {} }]);
  stopping.abort();
  expect(await get('/readyz')).toEqual([503, { ok: false, missing: { process: 'stopping' } }]);
  expect((await get('/other'))[0]).toBe(404);
});

test('a taken port is told with the setting that chooses another', async () => {
  const { signal } = new AbortController();
  await using first = await startHealth({ host, port: 0, checks: {}, signal });
  const second = startHealth({ host, port: first.port, checks: {}, signal });
  await expect(second).rejects.toThrow(`${host}:${first.port} is in use by another process`);
  await expect(second).rejects.toThrow('HIVEBUS_HEALTH_PORT');
});
