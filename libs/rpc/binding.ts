import { HiveError } from '../kernel/errors.ts';
import { nearest } from '../kernel/nearest.ts';
import type { Call } from '../protocol/call.ts';
import type { Api, Definition } from './api.ts';
import { methodDescriptor } from './descriptors.ts';

/** A service as the adaptors serve it: which one, and where its methods are for each federation. */
export interface Binding {
  /** Its name in subjects, e.g. `registry`. */
  readonly name: string;
  readonly definition: Definition;
  /** Throws NOT_FOUND for a federation that is not known. */
  readonly apiOf: (federation: string) => Methods;
  /** Resolves when a federation may be known that is not yet: one was perhaps made a moment ago. Undefined = ask at once. */
  readonly awaited: (federation: string) => Promise<void> | undefined;
}

/** An Api with its types forgotten: the adaptors know them from the descriptors. */
export type Methods = Readonly<Record<string, (input: never, call: Call) => unknown>>;

export function bind<D extends Definition>(
  name: string,
  definition: D,
  apiOf: (federation: string) => Api<D>,
  awaited: Binding['awaited'] = () => undefined,
): Binding {
  return { name, definition, apiOf, awaited };
}

export interface Method {
  /** As in the Api, e.g. `listSwarms`. */
  readonly key: string;
  /** As in proto/ and in subjects, e.g. `ListSwarms`. */
  readonly name: string;
  readonly path: string;
  readonly kind: 'unary' | 'serverStream' | 'clientStream' | 'bidi';
  /** Full names of messages. */
  readonly requestType: string;
  readonly responseType: string;
}

export function methodsOf(definition: Definition): Method[] {
  return Object.entries(definition).map(([key, { path, requestStream, responseStream }]) => {
    const { name, input, output } = methodDescriptor(path);
    const kind = requestStream ? (responseStream ? 'bidi' : 'clientStream') : responseStream ? 'serverStream' : 'unary';
    return { key, name, path, kind, requestType: input.typeName, responseType: output.typeName };
  });
}

/** The full name of a definition's service, e.g. `hivebus.registry.v1.RegistryService`. */
export const fullNameOf = (definition: Definition): string => Object.values(definition)[0]?.path.split('/')[1] ?? '';

/** Calls a method of an api by its key. */
export function invoke(api: Methods, key: string, input: unknown, call: Call): unknown {
  const method = api[key] as ((input: unknown, call: Call) => unknown) | undefined;
  if (method) return method(input, call);
  const close = nearest(key, Object.keys(api));
  throw new HiveError('UNIMPLEMENTED', `method ${key} is not implemented here${close ? `; there is ${close}` : ''}`);
}

/** The same for one that answers once; what it throws at once is a rejection. */
export function promised(api: Methods, key: string, input: unknown, call: Call): Promise<unknown> {
  try {
    return Promise.resolve(invoke(api, key, input, call));
  } catch (error) {
    return Promise.reject(error);
  }
}
