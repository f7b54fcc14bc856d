/** What the analysers need to know of a language, by the end of a file's name. */
export interface Language {
  readonly name: string;
  /** What starts a comment up to the line's end. */
  readonly lineComment?: string;
  readonly blockComment?: readonly [open: string, close: string];
  /** How a function's body is found: by braces, or by indentation. */
  readonly bodies?: 'braces' | 'indentation';
  /** Finds the line that begins a function; group 1, 2 or 3 is its name. */
  readonly functionStart?: RegExp;
}

const C_COMMENTS = { lineComment: '//', blockComment: ['/*', '*/'] } as const;
const NOT_A_CALL = '(?!if|for|while|switch|catch|return|function|else|do|with|await|typeof)';

const javascript: Language = {
  ...{ name: 'JavaScript', ...C_COMMENTS, bodies: 'braces' },
  functionStart: new RegExp(
    [
      '^\\s*(?:export\\s+)?(?:default\\s+)?(?:async\\s+)?function\\s*\\*?\\s*([\\w$]+)', // function name(
      '^\\s*(?:export\\s+)?(?:const|let|var)\\s+([\\w$]+)[^=]*=\\s*(?:async\\s*)?(?:\\([^;]*|[\\w$]+)\\s*=>\\s*\\{\\s*$', // name = (…) => {
      `^\\s+(?:(?:public|private|protected|static|async|override|get|set)\\s+)*[*#]?${NOT_A_CALL}([\\w$]+)\\s*(?:<[^>]*>)?\\([^;]*\\)[^;=]*\\{\\s*$`, // method(…) {
    ].join('|'),
  ),
};
const python: Language = {
  ...{ name: 'Python', lineComment: '#', bodies: 'indentation' },
  functionStart: /^\s*(?:async\s+)?def\s+(\w+)/,
};
const go: Language = { name: 'Go', ...C_COMMENTS, bodies: 'braces', functionStart: /^func\s+(?:\([^)]*\)\s*)?(\w+)/ };
const rust: Language = {
  ...{ name: 'Rust', ...C_COMMENTS, bodies: 'braces' },
  functionStart: /^\s*(?:pub(?:\([^)]*\))?\s+)?(?:const\s+|async\s+|unsafe\s+)*fn\s+(\w+)/,
};
const cLike: Language = {
  ...{ name: 'C family', ...C_COMMENTS, bodies: 'braces' },
  functionStart: new RegExp(`^\\s*(?:[\\w:<>,*&\\[\\]]+\\s+)+[*&]*${NOT_A_CALL}([\\w:~]+)\\s*\\([^;]*$`),
};
const shell: Language = {
  ...{ name: 'Shell', lineComment: '#', bodies: 'braces' },
  functionStart: /^\s*(?:function\s+)?([\w-]+)\s*\(\)\s*\{/,
};
const hashComments: Language = { name: 'configuration', lineComment: '#' };
const text: Language = { name: 'text' };

const BY_ENDING: Readonly<Record<string, Language>> = {
  ...each(javascript, 'js mjs cjs jsx'),
  ...each({ ...javascript, name: 'TypeScript' }, 'ts mts cts tsx'),
  ...each(python, 'py pyi'),
  ...each(go, 'go'),
  ...each(rust, 'rs'),
  ...each(cLike, 'c h cc cpp hpp cxx java kt cs swift scala php'),
  ...each({ name: 'Protocol Buffers', ...C_COMMENTS }, 'proto'),
  ...each({ name: 'CSS', ...C_COMMENTS }, 'css scss less'),
  ...each({ name: 'SQL', lineComment: '--' }, 'sql'),
  ...each({ name: 'HTML', blockComment: ['<!--', '-->'] }, 'html htm xml svg vue'),
  ...each(shell, 'sh bash zsh'),
  ...each(hashComments, 'yml yaml toml ini conf cfg tf rb pl r mk dockerfile makefile'),
};

function each(language: Language, endings: string): Record<string, Language> {
  return Object.fromEntries(endings.split(' ').map((ending) => [ending, language]));
}

export function languageOf(file: string): Language {
  const name = file.slice(file.lastIndexOf('/') + 1).toLowerCase();
  return BY_ENDING[name.slice(name.lastIndexOf('.') + 1)] ?? text;
}
