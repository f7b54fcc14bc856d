import { expect, test } from 'vitest';
import { eventLine } from './event-line.ts';
import { SAMPLES } from './kinds/fixtures.ts';
import { kindTable } from './kinds/kind.ts';
import { TASKS } from './kinds/tasks.ts';
import { createOutput, type Format, fields, table } from './output.ts';
import { colouredText, plainLine, plainText, printable } from './printable.ts';

// biome-ignore-start lint/suspicious/noControlCharactersInRegex: it is these that are looked for
const OBEYED = /[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069]/;
// biome-ignore-end lint/suspicious/noControlCharactersInRegex: it is these that are looked for

const EVIL = 'ti\x1b[31mtle\x1b]0;PWN\x07 \x9b2J \x7f \u202egnp.exe\u2066 a\u200bb\r\nstate  succeeded';
const SHOWN = 'ti␛[31mtle␛]0;PWN␇ <U+009B>2J ␡ <U+202E>gnp.exe<U+2066> a<U+200B>b␍␊state  succeeded';

/** What an output writes, to a terminal or a pipe. */
function written(format: Format, isTTY = false) {
  const texts: string[] = [];
  const stream = { isTTY, on: () => stream, write: (text: string) => texts.push(text) } as never;
  return { texts, output: createOutput(format, stream, stream) };
}

test('each control character is a sign of its own, and a line stays one', () => {
  expect(plainLine(EVIL)).toBe(SHOWN);
  expect(plainText('a\nb\x1b')).toBe('a\nb␛');
  expect(plainLine('naïve — 漢字 🙂')).toBe('naïve — 漢字 🙂');
});

test('colours may stay where they are wanted, but nothing else that begins with ESC', () => {
  expect(colouredText('\x1b[1;31mred\x1b[0m\t\x1b[2J\x1b]0;x\x07\x1b[31')).toBe('\x1b[1;31mred\x1b[0m\t␛[2J␛]0;x␇␛[31');
});

test('a copy for people has them in no text and no key', () => {
  const value = { [EVIL]: [EVIL, 1, null, { deep: EVIL }], none: undefined };
  expect(printable(value)).toEqual({ [SHOWN]: [SHOWN, 1, null, { deep: SHOWN }], none: undefined });
});

test('tables, fields, lines, notes and progress have none; JSON and YAML are exact', () => {
  expect(table(['A', 'B'], [[EVIL, EVIL]], 400).split('\n')).toHaveLength(2);
  expect(fields([['title', 'a\r\nstate  done']])).toBe('title  a␍␊state  done');
  const { texts, output } = written('table', true);
  output.data(EVIL, () => EVIL);
  output.line(EVIL, () => EVIL);
  output.note(EVIL);
  for (const text of texts.filter((text) => !text.startsWith('\r\x1b[K'))) expect(text).not.toMatch(OBEYED);
  output.progress(EVIL);
  expect(texts.at(-1)?.slice('\r\x1b[K'.length)).not.toMatch(OBEYED);
  const names = written('name');
  names.output.data(
    EVIL,
    () => '',
    () => [`task/${EVIL}`],
  );
  expect(names.texts.join('')).not.toMatch(OBEYED);
  const json = written('json');
  json.output.data({ EVIL }, () => '');
  json.output.programLine({ EVIL }, EVIL, (text) => text);
  expect(json.texts.map((text) => JSON.parse(text))).toEqual([{ EVIL }, { EVIL }]);
});

test("a program's line is as it was written in a pipe; on a terminal it may colour itself and no more", () => {
  const line = '\x1b[32mok\x1b[2K\x1b]0;PWN\x07';
  const [pipe, terminal] = [written('table'), written('table', true)];
  for (const { output } of [pipe, terminal]) output.programLine({}, line, (text) => text);
  expect(pipe.texts).toEqual([`${line}\n`]);
  expect(terminal.texts).toEqual(['\x1b[32mok␛[2K␛]0;PWN␇\x1b[0m\n']);
});

test('a task with such texts, in a table and whole', () => {
  const [task] = SAMPLES['task'] as Parameters<typeof TASKS.details>[0][];
  if (!task?.spec) throw new Error('there is a sample');
  const attempts = task.attempts.map((attempt) => ({ ...attempt, reason: EVIL, agent: EVIL }));
  const payload = { [EVIL]: EVIL };
  const spec = { ...task.spec, title: EVIL, labels: payload, payload };
  const evil = { ...task, spec, reason: EVIL, waitingFor: EVIL, result: payload, attempts, submittedBy: EVIL };
  expect(kindTable(TASKS, [evil, evil]).split('\n')).toHaveLength(3);
  for (const text of [kindTable(TASKS, [evil]), TASKS.details(evil)]) expect(text).not.toMatch(OBEYED);
});

test('an event that a stranger has sent: subject, keys, values and raw bodies', () => {
  for (const data of [EVIL, { [EVIL]: EVIL }, { a: { [EVIL]: [EVIL] } }, [EVIL]]) {
    const line = eventLine({ subject: `hive.main.pool.${EVIL}`, time: `2026-01-01T${EVIL}`, headers: {}, data });
    expect(line).not.toMatch(OBEYED);
    expect(line).not.toContain('\n');
  }
});
