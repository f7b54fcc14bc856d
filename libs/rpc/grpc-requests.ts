import type { Readable } from 'node:stream';
import { HiveError, invalid } from '../kernel/errors.ts';
import type { Definition } from './api.ts';
import { methodsOf } from './binding.ts';
import { requestSchema } from './schema.ts';

/** A request that could not be read. */
class Malformed {
  readonly error: HiveError;

  constructor(error: HiveError) {
    this.error = error;
  }
}

/**
 * Requests are held to the same schema as over the bus: protobuf takes enums, numbers and keys that JSON has no word for.
 * gRPC answers INTERNAL when a request cannot be read; it is the caller's fault, so it is carried on and told as such.
 */
export function checked(definition: Definition): Definition {
  const entries = methodsOf(definition).map(({ key, requestType }) => {
    const method = definition[key] as Definition[string];
    const schema = requestSchema(requestType);
    const requestDeserialize = (bytes: Buffer): unknown => {
      try {
        const request = method.requestDeserialize(bytes);
        if (bytes.includes(PROTO)) checkKept(bytes, method.requestSerialize(request));
        return schema.check(request);
      } catch (cause) {
        if (cause instanceof HiveError) return new Malformed(cause);
        const why = cause instanceof Error ? cause.message : String(cause);
        return new Malformed(new HiveError('INVALID_ARGUMENT', `the request cannot be read: ${why}`, { cause }));
      }
    };
    return [key, { ...method, requestDeserialize }] as const;
  });
  return Object.fromEntries(entries);
}

const PROTO = Buffer.from('__proto__');

/** As a key of a map it sets the prototype and is lost while the message is read: then it is not there any more. */
function checkKept(before: Buffer, after: Buffer): void {
  if (countOf(before) === countOf(after)) return;
  throw invalid([{ field: 'message', value: '"__proto__"', rule: 'must not be a key' }]);
}

function countOf(bytes: Buffer): number {
  let count = 0;
  for (let at = bytes.indexOf(PROTO); at >= 0; at = bytes.indexOf(PROTO, at + PROTO.length)) count++;
  return count;
}

/** The request as it was read; throws what was wrong with it. */
export function readable(request: unknown): unknown {
  if (request instanceof Malformed) throw request.error;
  return request;
}

/** Leaving the loop leaves the stream as it is: one that is answered, too, still has to carry the answer. */
export async function* readableItems(incoming: Readable): AsyncGenerator<unknown> {
  for await (const item of incoming.iterator({ destroyOnReturn: false })) yield readable(item);
}
