import { Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { CODES, type Code, type ErrorJson, HiveError } from '../kernel/errors.ts';

/** How errors cross the wire: code and text where each transport has them, and everything else as ErrorJson. */

/** Metadata key of the ErrorJson, in ASCII. */
export const ERROR_KEY = 'hive-error';

/** Messages and metadata are bounded: what is longer is cut. */
const MAX_TEXT = 1024;
const MAX_FIELD = 128;
const MAX_VIOLATIONS = 64;
/** gRPC clients refuse trailers of more than 8 KiB, and then show nothing: both forms of the text must fit. */
const MAX_GRPC_DETAILS = 2048;
const MAX_GRPC_JSON = 5120;

const NAMES = new Map(Object.entries(CODES).map(([name, number]) => [number as number, name as Code]));

export const codeOfNumber = (number: number): Code => NAMES.get(number) ?? 'UNKNOWN';

/** One line of at most 1024 characters. */
export const oneLine = (text: string): string => cut(text.replaceAll(/[\r\n\0]+/g, ' '));

/** Cut texts can end in half a character, and strangers send such halves: gRPC would throw for one. */
const cut = (text: string, max = MAX_TEXT): string =>
  (text.length > max ? `${text.slice(0, max - 3)}...` : text).replaceAll(/\p{Surrogate}/gu, '\ufffd');

export function toErrorJson(error: HiveError): ErrorJson {
  const json = error.toJSON();
  json.message = cut(json.message);
  json.violations &&= json.violations.slice(0, MAX_VIOLATIONS).map(({ field, value, rule }) => {
    return { field: cut(field, MAX_FIELD), value: cut(value, MAX_FIELD), rule: cut(rule) };
  });
  return json;
}

export interface GrpcFailure {
  readonly code: status;
  readonly details: string;
  readonly metadata: Metadata;
}

export function toGrpc(error: HiveError): GrpcFailure {
  const metadata = new Metadata();
  const details = detailsOf(error.message);
  metadata.set(ERROR_KEY, errorText({ ...toErrorJson(error), message: details }));
  if (error.retryAfterMs !== undefined) metadata.set('grpc-retry-pushback-ms', String(error.retryAfterMs));
  return { code: CODES[error.code], details, metadata };
}

/** As much of a message as fits; gRPC sends it percent-encoded. */
function detailsOf(message: string): string {
  for (let max = MAX_TEXT; ; max /= 2) {
    const details = cut(message, max);
    if (encodeURI(details).length <= MAX_GRPC_DETAILS) return details;
  }
}

/** As many of the violations as fit. */
function errorText({ violations = [], ...rest }: ErrorJson): string {
  let text = toAscii(JSON.stringify(rest));
  for (let count = 1; count <= violations.length; count++) {
    const longer = toAscii(JSON.stringify({ ...rest, violations: violations.slice(0, count) }));
    if (longer.length > MAX_GRPC_JSON) break;
    text = longer;
  }
  return text;
}

const toAscii = (json: string): string =>
  json.replaceAll(/[^ -~]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`);

/** Any server's error as ours; only UNAVAILABLE is worth another try unless the server says otherwise. */
export function fromGrpc(error: ServiceError): HiveError {
  const [own] = error.metadata?.get(ERROR_KEY) ?? [];
  const json = own === undefined ? undefined : parseErrorJson(String(own));
  if (json) return HiveError.fromJSON(json);
  return new HiveError(codeOfNumber(error.code), error.details || status[error.code], { cause: error });
}

export function parseErrorJson(text: string): ErrorJson | undefined {
  try {
    const json: unknown = JSON.parse(text);
    return isErrorJson(json) ? json : undefined;
  } catch {
    return undefined;
  }
}

export const isErrorJson = (json: unknown): json is ErrorJson =>
  typeof json === 'object' && json !== null && 'code' in json && 'message' in json && typeof json.message === 'string';
