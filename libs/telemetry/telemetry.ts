import type { Telemetry, TelemetryOptions } from './options.ts';

const OFF: Telemetry = {
  observe: undefined,
  metricsPort: undefined,
  [Symbol.asyncDispose]: async () => {},
};

/**
 * Starts traces and metrics for this process, once, before anything makes instruments.
 * Off costs nothing: the SDK (25 MB, a quarter of a second) is loaded only when something of it is wanted.
 */
export async function startTelemetry(options: TelemetryOptions): Promise<Telemetry> {
  if (options.traces === 'off' && options.metricsPort === undefined) return OFF;
  const { startSdk } = await import('./sdk.ts');
  return startSdk(options);
}
