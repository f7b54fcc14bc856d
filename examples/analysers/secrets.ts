/** A line that looks as if it held a secret. The secret itself is never repeated. */
export interface Suspect {
  readonly rule: string;
  /** From 1. */
  readonly line: number;
  /** The first characters, the rest hidden. */
  readonly preview: string;
}

/** Secrets that are known by their form. Group 1, or the whole match, is the secret. */
const FORMS: readonly (readonly [rule: string, form: RegExp])[] = [
  ['private key', /-----BEGIN (?:[A-Z]+ )?PRIVATE KEY-----/],
  ['AWS access key', /\b((?:AKIA|ASIA)[0-9A-Z]{16})\b/],
  ['GitHub token', /\b(gh[pousr]_[A-Za-z0-9]{36,})\b/],
  ['Slack token', /\b(xox[abprs]-[A-Za-z0-9-]{20,})\b/],
  ['Google API key', /\b(AIza[0-9A-Za-z_-]{35})\b/],
  ['JSON web token', /\b(eyJ[\w-]{15,}\.eyJ[\w-]{15,}\.[\w-]{20,})/],
  ['password in a URL', /\b[a-z][a-z0-9+.-]*:\/\/[^\s/:@'"`]+:([^\s/:@'"`${}<>]{6,})@/],
];

/** A name that promises a secret, and a text that is given to it. */
const ASSIGNED =
  /(?:secret|passw(?:or)?d|token|api[_-]?key|credential)[\w-]*['"]?\s*[:=]\s*['"`]([^'"`\s${}]{12,})['"`]/i;
/** Bits a character below which a text is rather words than random (Shannon, over its own characters). */
const MIN_ENTROPY = 3.5;

export function findSecrets(lines: readonly string[]): Suspect[] {
  return lines.flatMap((line, i) => {
    const found = suspectOf(line);
    return found ? [{ rule: found.rule, line: i + 1, preview: `${found.secret.slice(0, 4)}…` }] : [];
  });
}

function suspectOf(line: string): { rule: string; secret: string } | undefined {
  for (const [rule, form] of FORMS) {
    const match = form.exec(line);
    if (match) return { rule, secret: match[1] ?? match[0] };
  }
  const assigned = ASSIGNED.exec(line)?.[1];
  if (assigned === undefined || entropy(assigned) < MIN_ENTROPY) return undefined;
  return { rule: 'random text given to a secret name', secret: assigned };
}

/** Shannon entropy of a text over its own characters, in bits a character. */
export function entropy(text: string): number {
  const counts = new Map<string, number>();
  for (const sign of text) counts.set(sign, (counts.get(sign) ?? 0) + 1);
  return [...counts.values()].reduce((sum, n) => sum - (n / text.length) * Math.log2(n / text.length), 0);
}
