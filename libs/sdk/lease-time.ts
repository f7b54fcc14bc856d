/**
 * The lender's clock and the holder's run at different speeds, and a message takes its time. The holder counts its term
 * from *sending* the request and stops this much before the end, so that it never uses what is no longer its own:
 * 2% for clocks (real ones drift by less than 0.02%, a paused virtual machine by more) and a fixed part for scheduling.
 */
export const driftMarginMs = (termMs: number): number => termMs * 0.02 + 100;

/** Until when the holder may use a lease, on the clock that `sentAt` was read from, in milliseconds. */
export const usableUntil = (sentAt: number, termMs: number): number => sentAt + termMs - driftMarginMs(termMs);

/** Renew so long after the last success: three tries fit into a term. */
export const renewAfterMs = (termMs: number): number => termMs / 3;
