import { defineConfig } from 'vitest/config';

/**
 * One after the other, the quickest first: what is broken at the bottom is told before what stands on it.
 * Time is waited for by conditions, never asserted: the limits only end what hangs.
 */
const project = (groupOrder: number, name: string, include: string[], testTimeout: number) => ({
  test: { name, include, testTimeout, hookTimeout: Math.max(testTimeout, 60_000), sequence: { groupOrder } },
});

/** Tests that set up what a process has once: its tracer and meter. The other unit tests share processes, which is quicker. */
const ALONE = ['libs/telemetry/**/*.test.ts', 'libs/journal/observer.test.ts', 'libs/sdk/tracing.test.ts'];
const unit = project(0, 'unit', ['{libs,services,cli,examples,tools}/**/*.test.ts'], 30_000).test;

export default defineConfig({
  test: {
    maxWorkers: 2,
    projects: [
      { test: { ...unit, exclude: ALONE, isolate: false } },
      project(0, 'unit-alone', ALONE, 30_000),
      project(1, 'integration', ['test/integration/**/*.test.ts'], 120_000),
      project(2, 'simulation', ['test/simulation/**/*.test.ts'], 300_000),
      // Real processes that share the machine: one file at a time.
      {
        test: { ...project(3, 'e2e', ['test/e2e/**/*.test.ts'], 180_000).test, maxWorkers: 1 },
      },
      {
        test: {
          ...project(4, 'cluster', ['test/cluster/**/*.test.ts'], 300_000).test,
          ...{ maxWorkers: 1, globalSetup: 'test/cluster/told.ts' },
        },
      },
    ],
  },
});
