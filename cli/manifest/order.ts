import type { Fault } from './faults.ts';
import type { Planned } from './planned.ts';

/**
 * Tasks come after those of the same files that they depend on; everything else stays in the order of the files. A circle
 * is a fault, with the tasks that make it.
 */
export function inOrder(planned: readonly Planned[], faults: Fault[]): Planned[] {
  const tasks = new Map(planned.flatMap((each) => (each.kind === 'task' ? [[each.name, each] as const] : [])));
  const done = new Set<Planned>();
  const ordered: Planned[] = [];
  const visit = (each: Planned, path: readonly string[]): void => {
    if (done.has(each)) return;
    const from = path.indexOf(each.name);
    if (from >= 0 && each.kind === 'task') {
      const circle = [...path.slice(from), each.name].join(' -> ');
      each.document.fault(faults, 'spec.after', `must not lead back to the task itself: ${circle}`);
      done.add(each);
      return;
    }
    for (const name of each.after ?? []) {
      const before = tasks.get(name);
      if (before) visit(before, [...path, each.name]);
    }
    if (done.has(each)) return;
    done.add(each);
    ordered.push(each);
  };
  for (const each of planned) visit(each, []);
  return ordered;
}
