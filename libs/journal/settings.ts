/** What can be tuned. Every figure has a default that keeps the promises of DESIGN section 2 on a laptop. */
export interface JournalSettings {
  /** How often a standby asks whether somebody leads, in ms. Costs about 1% of a core at 150; takeover waits for it. */
  readonly probeMs: number;
  /** How long a probe waits, in ms. A stopped leader is noticed after probeMs x missedProbes + probeTimeoutMs at most. */
  readonly probeTimeoutMs: number;
  /** How many unanswered probes in a row make a standby move. Fewer: faster; more: fewer takeovers from busy leaders. */
  readonly missedProbes: number;
  /** How long an append waits for its acknowledgement, in ms, before its outcome is looked up. */
  readonly appendTimeoutMs: number;
  /** Commands and reads that may wait for a leader's next group; more are refused with RESOURCE_EXHAUSTED. */
  readonly maxQueue: number;
  /** Commands in one record at most. */
  readonly maxGroup: number;
  /** Bytes of events in one record at most; one command's events may not be more. */
  readonly maxRecordBytes: number;
  /** A snapshot is written after so many records ... */
  readonly snapshotEveryRecords: number;
  /** ... or after so many bytes of records, whichever comes first. */
  readonly snapshotEveryBytes: number;
  /** Records younger than this stay in the stream even when snapshots hold them, in ms: watchers may resume so far back. */
  readonly retainMs: number;
  /** Committed records that are kept in memory for watchers; older ones are read from the stream. */
  readonly recentRecords: number;
  /** The same in bytes, of events as JSON: whichever is reached first. In memory they take several times as much. */
  readonly recentBytes: number;
  /** Effects that are tried at the same time. */
  readonly maxEffects: number;
  /** Copies of the stream and the snapshots on a NATS cluster. */
  readonly replicas: number;
  /** How long a forwarded command may look for a leader, in ms, before it is answered with UNAVAILABLE. */
  readonly forwardMs: number;
}

export const DEFAULT_SETTINGS: JournalSettings = {
  probeMs: 150,
  probeTimeoutMs: 250,
  missedProbes: 3,
  appendTimeoutMs: 3000,
  maxQueue: 20_000,
  maxGroup: 4096,
  maxRecordBytes: 448 * 1024,
  snapshotEveryRecords: 20_000,
  snapshotEveryBytes: 64 * 1024 * 1024,
  retainMs: 600_000,
  recentRecords: 4096,
  recentBytes: 16 * 1024 * 1024,
  maxEffects: 256,
  replicas: 1,
  forwardMs: 5000,
};
