import { HiveError, quote } from '../kernel/errors.ts';
import type { Definition, RequestOf } from './api.ts';
import { methodsOf } from './binding.ts';
import { requestSchema } from './schema.ts';

/** The rules of the methods that are commands of the same name; each throws INVALID_ARGUMENT with every fault. */
export type CommandRules<D extends Definition> = { readonly [K in keyof D]?: (request: RequestOf<D[K]>) => void };

/**
 * Checks a command that another replica forwards as its own adaptor has checked it: by the method's schema, then by its
 * rules. Commands that no client has are refused: a service's own are decided where it leads.
 */
export function commandCheck<D extends Definition>(
  definition: D,
  rules: CommandRules<D>,
): (name: string, input: unknown) => void {
  const taken = methodsOf(definition).filter(({ key }) => Object.hasOwn(rules, key));
  const schemas = new Map(taken.map(({ key, requestType }) => [key, requestSchema(requestType)]));
  return (name, input) => {
    const schema = schemas.get(name);
    if (!schema) throw new HiveError('PERMISSION_DENIED', `${quote(name)} is no command that clients have`);
    (rules[name] as (request: object) => void)(schema.check(input));
  };
}
