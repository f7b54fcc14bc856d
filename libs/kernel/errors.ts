/** The closed set of error codes: gRPC's, by name. OK is not an error. */
export const CODES = {
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type Code = keyof typeof CODES;

/** One fault of the input: which field, which value it had (shortened), and the rule that it breaks. */
export interface Violation {
  readonly field: string;
  readonly value: string;
  readonly rule: string;
}

export interface ErrorOptions {
  /** May the same call succeed later, unchanged? Known where the error is born. Default: true for UNAVAILABLE only. */
  readonly retryable?: boolean;
  /** Wait at least so long before trying again, in milliseconds. */
  readonly retryAfterMs?: number;
  /** A stable word for programs, finer than the code, e.g. `COMPACTED`. */
  readonly reason?: string;
  readonly violations?: readonly Violation[];
  readonly cause?: unknown;
}

/** What crosses process borders of an error. */
export interface ErrorJson {
  code: Code;
  message: string;
  retryable: boolean;
  retryAfterMs?: number;
  reason?: string;
  violations?: readonly Violation[];
}

/** The one error class. Anything else that is thrown is a defect and leaves a process as INTERNAL. */
export class HiveError extends Error {
  override readonly name = 'HiveError';
  readonly code: Code;
  readonly retryable: boolean;
  readonly retryAfterMs: number | undefined;
  readonly reason: string | undefined;
  readonly violations: readonly Violation[];

  constructor(code: Code, message: string, options: ErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? code === 'UNAVAILABLE';
    this.retryAfterMs = options.retryAfterMs;
    this.reason = options.reason;
    this.violations = options.violations ?? [];
  }

  toJSON(): ErrorJson {
    const json: ErrorJson = { code: this.code, message: this.message, retryable: this.retryable };
    if (this.retryAfterMs !== undefined) json.retryAfterMs = this.retryAfterMs;
    if (this.reason !== undefined) json.reason = this.reason;
    if (this.violations.length > 0) json.violations = this.violations;
    return json;
  }

  static fromJSON(json: ErrorJson): HiveError {
    const code = json.code in CODES ? json.code : 'UNKNOWN';
    return new HiveError(code, json.message, json);
  }

  /**
   * Keeps a HiveError, makes anything else INTERNAL with the original as its cause. Of a
   * SuppressedError, which `await using` throws when closing fails, too, what came first.
   */
  static from(error: unknown): HiveError {
    if (error instanceof HiveError) return error;
    if (error instanceof Error && 'suppressed' in error) return HiveError.from(error.suppressed);
    const message = error instanceof Error ? error.message : String(error);
    return new HiveError('INTERNAL', `unexpected: ${message}`, { cause: error });
  }
}

/**
 * Was it refused only because there is no room for it now? Then nothing was done, nothing of it is kept, and the same may be
 * taken later.
 */
export const isForWantOfRoom = ({ code, retryable }: HiveError): boolean => code === 'RESOURCE_EXHAUSTED' && retryable;

/** INVALID_ARGUMENT with every fault at once. */
export function invalid(violations: readonly Violation[]): HiveError {
  const text = violations.map((v) => `${v.field}: ${v.value} ${v.rule}`).join('; ');
  return new HiveError('INVALID_ARGUMENT', text, { violations });
}

export const notFound = (kind: string, name: string, hint = ''): HiveError =>
  new HiveError('NOT_FOUND', `${kind} ${quote(name)} is not known${hint && `; ${hint}`}`, {
    violations: [{ field: kind, value: quote(name), rule: 'must exist' }],
  });

/** A value as it is shown in errors: JSON, cut at 80 characters. */
export function quote(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value);
  return text.length > 80 ? `${text.slice(0, 77)}...` : text;
}
