import { createColors } from 'picocolors';

/**
 * Makes of a JSON log line a short one for people: `12:03:04.123 warn  pool lease expired lease=l-1`, with colours
 * only when they are asked for: picocolors on its own paints wherever CI is set.
 */
export function prettyPrinter(withColors: boolean): (json: string) => string {
  const { dim, yellow, red } = createColors(withColors);
  const paint: Readonly<Record<string, (text: string) => string>> = { warn: yellow, error: red, fatal: red };
  return (json) => {
    const line = JSON.parse(json) as Record<string, unknown>;
    const { level, time, service, message, err, trace_id, span_id, ...fields } = line;
    const name = String(level);
    const shown = Object.entries(trace_id ? { ...fields, trace: trace_id } : fields);
    const text = [
      dim(String(time).slice(11, 23)),
      (paint[name] ?? dim)(name.padEnd(5)),
      `${service}`,
      `${message ?? ''}`,
      ...shown.map(([key, value]) => dim(`${key}=${show(value)}`)),
    ];
    const stack = stackOf(err);
    return `${text.join(' ')}\n${stack ? `${dim(stack)}\n` : ''}`;
  };
}

const show = (value: unknown): string => (typeof value === 'string' ? value : JSON.stringify(value));

function stackOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('stack' in error)) return undefined;
  return String(error.stack);
}
