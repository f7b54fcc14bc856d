/** People write `sequential` where the contract says GROUP_STRATEGY_SEQUENTIAL. */

type Spec = Readonly<Record<string, unknown>>;

/** The field's word as the contract has it; anything else stays what it is, and is refused with its place. */
function widened<S extends object>(spec: S, field: string, prefix: string): S {
  const value = (spec as Spec)[field];
  if (typeof value !== 'string' || !/^[a-z]+(-[a-z]+)*$/.test(value)) return spec;
  return { ...spec, [field]: `${prefix}_${value.toUpperCase().replaceAll('-', '_')}` };
}

/** A SwarmTask's spec. */
export const withPolicy = (spec: object): object => widened(spec, 'onDependencyFailure', 'FAILURE_POLICY');

/** A SwarmTaskGroup's spec. */
export function withWords(spec: object): object {
  const words = widened(widened(spec, 'strategy', 'GROUP_STRATEGY'), 'onFailure', 'FAILURE_POLICY');
  return each(
    each(
      within(words, 'consensus', (rule) => widened(rule, 'tie', 'TIE_RULE')),
      'tasks',
      (task) => within(task, 'spec', withPolicy),
    ),
    'phases',
    (phase) =>
      within(phase, 'gate', (gate) => each(gate, 'criteria', (one) => widened(one, 'comparison', 'COMPARISON'))),
  );
}

const isObject = (value: unknown): value is object =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** The field changed, where it is an object. */
function within(spec: object, field: string, change: (value: object) => object): object {
  const value = (spec as Spec)[field];
  return isObject(value) ? { ...spec, [field]: change(value) } : spec;
}

/** Each object of the field changed, where it is a list. */
function each(spec: object, field: string, change: (value: object) => object): object {
  const value = (spec as Spec)[field];
  if (!Array.isArray(value)) return spec;
  return { ...spec, [field]: value.map((one: unknown) => (isObject(one) ? change(one) : one)) };
}
