import { join } from 'node:path';
import { expect, test } from 'vitest';
import { optional, ROOT, run } from '../e2e/clients/programs.ts';

/** Alert rules by Prometheus' own tool: well formed, and firing when they shall and not else. */

const promtool = optional('promtool');
const cwd = join(ROOT, 'deploy', 'prometheus');

test.skipIf(!promtool)('alert rules are well formed, and a configuration can use them', async () => {
  expect(await run(promtool ?? '', ['check', 'rules', 'alerts.yml'], { cwd })).toMatchObject({ code: 0 });
  expect(await run(promtool ?? '', ['check', 'config', 'prometheus.yml'], { cwd })).toMatchObject({ code: 0 });
});

test.skipIf(!promtool)('they fire when they shall, and are silent else', async () => {
  const { code, stdout, stderr } = await run(promtool ?? '', ['test', 'rules', 'alerts.test.yml'], { cwd });
  expect(`${stdout}${stderr}`).toContain('SUCCESS');
  expect(code).toBe(0);
});
