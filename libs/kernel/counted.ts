/** `1 task`, `2 tasks`: of what takes an s. */
export const counted = (count: number, what: string): string => `${count} ${what}${count === 1 ? '' : 's'}`;
