import { hash } from 'node:crypto';

/** The fields of a TaskSpec that the digest covers: all that decide what an agent does. */
export interface DigestedSpec {
  readonly swarm: string;
  readonly type: string;
  readonly capabilities: readonly string[];
  readonly payload?: unknown;
  readonly script: string;
  readonly timeoutMs: number;
  readonly maxAttempts: number;
  readonly priority: number;
  readonly labels: Readonly<Record<string, string>>;
  readonly title: string;
  readonly volumes?: { readonly names: readonly string[] } | undefined;
  readonly continuity?: { readonly resume: boolean; readonly claim: boolean } | undefined;
}

/**
 * What a task's spec is known by. Assignments on the bus are not signed; with the digest, which comes in the answer to a
 * signed call, an agent sees whether what it was sent is what the pool keeps, for 50 bytes instead of the whole spec.
 * The fields and their order are fixed for `v1`. `v2` covers what an agent heeds since then, and is used for specs that
 * have it: an agent that does not know `v2` takes that for a difference, and asks.
 */
export function specDigest(spec: DigestedSpec): string {
  const { swarm, type, capabilities, payload, script, timeoutMs, maxAttempts, priority, labels, title } = spec;
  const sorted = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
  const fields = [swarm, type, capabilities, payload ?? null, script, timeoutMs, maxAttempts, priority, sorted, title];
  const { continuity, volumes } = spec;
  if (!continuity && !volumes) return `v1:${digest(fields)}`;
  const { resume = false, claim = false } = continuity ?? {};
  return `v2:${digest([...fields, [resume, claim], volumes?.names ?? []])}`;
}

const digest = (fields: readonly unknown[]): string => hash('sha256', JSON.stringify(fields), 'base64url');
