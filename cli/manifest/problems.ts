import { isAlias, isMap, isScalar, isSeq, Lexer, type Node, type YAMLError, type Document as YamlDocument } from 'yaml';

/** What is wrong with a document as YAML, or as the JSON that it stands for. */
export interface Problem {
  /** In the source's text. */
  readonly offset: number;
  readonly text: string;
}

export const MAX_DOCUMENTS = 1000;
/** Marks, words and line ends; reading so many takes about a second. A manifest of 100 lines has 700. */
const MAX_TOKENS = 200_000;
/** Of a document that is no YAML: the first faults make the others. */
const MAX_PROBLEMS = 10;

const WORDS: Partial<Record<YAMLError['code'], string>> = {
  RESOURCE_EXHAUSTION: 'is nested too deeply',
  TAB_AS_INDENT: 'is indented with a tab; YAML takes spaces only',
  BAD_INDENT: 'is indented otherwise than what it belongs to',
};

export const TOO_MANY_DOCUMENTS = `holds more than ${MAX_DOCUMENTS} documents, the most that are taken`;

/**
 * Why a text is not read at all; undefined when it is. The lexer is a stream and cheap, what follows it is neither: so
 * this is asked first.
 */
export function tooMuch(text: string): string | undefined {
  let [tokens, starts, ends] = [0, 0, 0];
  let before = '';
  for (const token of new Lexer().lex(text)) {
    if (token === '---' && before !== PLAIN) starts++;
    else if (token === '...' && before !== PLAIN) ends++;
    // One more may be empty: the one that the last mark begins.
    if (Math.max(starts, ends) > MAX_DOCUMENTS + 1) return TOO_MANY_DOCUMENTS;
    if (++tokens > MAX_TOKENS) return `has more than ${MAX_TOKENS} keys, values and marks; split it`;
    before = token;
  }
  return undefined;
}

/** What the lexer puts before a word without quotes. */
const PLAIN = '\x1f';

/** What a document cannot be read with. */
export function problemsOf(document: YamlDocument.Parsed): Problem[] {
  const told = [...document.errors, ...document.warnings];
  const exhausted = told.filter(({ code }) => code === 'RESOURCE_EXHAUSTION');
  const problems: Problem[] = (exhausted.length > 0 ? exhausted.slice(0, 1) : told.slice(0, MAX_PROBLEMS)).map(
    ({ code, message, pos }) => ({ offset: pos[0], text: WORDS[code] ?? message }),
  );
  if (exhausted.length > 0) return problems;
  const refused: Problem[] = [];
  const repeated: Problem[] = [];
  for (const node of nodesOf(document.contents)) {
    const what = refusal(node);
    if (what) refused.push({ offset: offsetOf(node), text: what });
    if (isMap(node)) repeated.push(...repeatedKeys(node.items));
  }
  problems.push(...repeated.slice(0, MAX_PROBLEMS));
  return problems.length > 0 ? problems : refused;
}

function* nodesOf(node: unknown): Generator<Node> {
  if (isMap(node)) {
    yield node;
    for (const { key, value } of node.items) {
      yield* nodesOf(key);
      yield* nodesOf(value);
    }
  } else if (isSeq(node)) {
    yield node;
    for (const item of node.items) yield* nodesOf(item);
  } else if (isScalar(node) || isAlias(node)) yield node;
}

const offsetOf = (node: Node): number => node.range?.[0] ?? 0;

function refusal(node: Node): string | undefined {
  if (isAlias(node)) return `*${node.source}: aliases are not taken; write out what is meant`;
  const { anchor, tag } = node as { anchor?: string; tag?: string };
  if (anchor) return `&${anchor}: anchors are not taken; write out what is meant`;
  return tag && !tag.startsWith('tag:yaml.org,2002:') ? `${tag}: tags are not taken` : undefined;
}

/** The library, asked for unique keys, compares each with each: a minute for 60 000. */
function repeatedKeys(pairs: readonly { key: unknown }[]): Problem[] {
  const seen = new Set<unknown>();
  const repeated: Problem[] = [];
  for (const { key } of pairs) {
    if (!isScalar(key)) continue;
    if (seen.has(key.value)) repeated.push({ offset: offsetOf(key), text: 'is there twice in the same map' });
    seen.add(key.value);
  }
  return repeated;
}
