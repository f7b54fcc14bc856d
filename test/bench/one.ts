import { BENCHES } from './benches.ts';
import { answer } from './children.ts';
import type { Row } from './harness.ts';

/**
 * One benchmark in a process of its own, so that none is slower for what others have left behind: their heap, and code that
 * was compiled for what they call.
 */
const [name = ''] = process.argv.slice(2);

answer(
  async () => ({ rows: await measured() }),
  async () => process.exit(0),
);

/** One that cannot be run here must not keep the others from being told. */
async function measured(): Promise<Row[]> {
  try {
    return (await BENCHES[name]?.()) ?? [];
  } catch (error) {
    console.error(error);
    const why = error instanceof Error ? error.message : String(error);
    return [
      { what: name, floor: '', measured: `not measured: ${why}`, ratio: '', target: 'to be measured', ok: false },
    ];
  }
}
