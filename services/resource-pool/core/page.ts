import { fitting } from '../../../libs/protocol/answer-size.ts';

/** Items of a page when the request does not say. */
const DEFAULT_PAGE_SIZE = 100;

/**
 * A page of `rows`, which are sorted by `position`. The token is the last row's position and not its index, so pages
 * neither repeat nor skip a row when others come and go between them. A page ends early when the answer is full.
 */
export function page<Row, Item, Position extends string | number>(
  rows: readonly Row[],
  request: { readonly pageSize: number; readonly pageToken: string },
  position: (row: Row) => Position,
  view: (row: Row) => Item,
): { readonly items: Item[]; readonly nextPageToken: string } {
  const size = request.pageSize || DEFAULT_PAGE_SIZE;
  const first = rows[0];
  let from = 0;
  if (request.pageToken !== '' && first !== undefined) {
    const after = typeof position(first) === 'number' ? Number(request.pageToken) : request.pageToken;
    from = rows.findIndex((row) => position(row) > after);
  }
  const items = from < 0 ? [] : fitting(rows.slice(from, from + size).map(view));
  const last = rows[from + items.length - 1];
  const isMore = last !== undefined && from + items.length < rows.length;
  return { items, nextPageToken: isMore ? String(position(last)) : '' };
}
