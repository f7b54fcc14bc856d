/** The name that `text` was probably meant to be: at most a third of it differs. Undefined when none is so close. */
export function nearest(text: string, names: readonly string[]): string | undefined {
  const plain = simplify(text);
  let best: string | undefined;
  let least = Math.max(1, Math.floor(plain.length / 3)) + 1;
  for (const name of names) {
    const distance = editDistance(plain, simplify(name));
    if (distance < least) [best, least] = [name, distance];
  }
  return best;
}

/** Letters to change, add, leave out or swap with the next one, until one is the other; of the first 64, in any case. */
export const editsBetween = (a: string, b: string): number =>
  editDistance(a.slice(0, 64).toLowerCase(), b.slice(0, 64).toLowerCase());

const simplify = (text: string): string => text.slice(0, 64).toLowerCase().replaceAll(/[-_]/g, '');

/** Levenshtein with two rows; two neighbours that have changed places count as one edit. */
function editDistance(a: string, b: string): number {
  let before: number[] = [];
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] as number) + (a[i - 1] === b[j - 1] ? 0 : 1);
      const isSwap = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1];
      const swapped = isSwap ? (before[j - 2] as number) + 1 : replaced;
      next.push(Math.min(replaced, swapped, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    [before, row] = [row, next];
  }
  return row[b.length] as number;
}
