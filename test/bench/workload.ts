import { existsSync, readFileSync } from 'node:fs';
import { DueQueue } from '../../libs/kernel/due-queue.ts';
import { seeded } from '../../libs/kernel/rng.ts';
import { runMachine } from '../../libs/testkit/machine-runner.ts';
import { createPoolMachine } from '../../services/resource-pool/core/machine.ts';
import { DEFAULT_SETTINGS } from '../../services/resource-pool/core/settings.ts';
import { jain, median, type Row } from './harness.ts';
import { compiled } from './processes.ts';

/** Requests to a language model that completes code, of one hour: arrival, tokens read, tokens written. */
const TRACE = compiled('../../shared/data/traces/llm_code_requests.csv');
/** The hour in so much less time, so that there is work for many agents at once. */
const FASTER = 10;
const READ_PER_S = 5000;
const WRITTEN_PER_S = 40;
const AGENTS = 30;
/** Who asks, and which part of all requests is his. One asks more than all others together. */
const SWARMS = { flood: 0.7, b: 0.1, c: 0.1, d: 0.1 } as const;
const WINDOW_MS = 2000;
const HOUR_MS = 3_600_000;
const LENDER = 'lender';
const TYPE = 'model';

interface Job {
  readonly swarm: string;
  readonly arrivesAt: number;
  readonly durationMs: number;
}

/** Whoever gives out the agents. `now` is virtual time, in milliseconds. */
interface Allocator {
  arrive(job: number, now: number): void;
  done(job: number, now: number): void;
  /** The jobs that got an agent since the last call. */
  started(): readonly number[];
  /** When it wants to be asked again of its own accord. */
  nextDue(): number | undefined;
  tick(now: number): void;
}

interface Replayed {
  readonly jobs: readonly Job[];
  /** When each one got its agent. */
  readonly startedAt: readonly number[];
}

/**
 * A real workload in virtual time: each request borrows an agent from one swarm for as long as its tokens take. The
 * pool's own decisions are compared with a queue that serves whoever came first.
 */
export async function workloadRows(): Promise<Row[]> {
  const what = `an hour of a real workload, ${FASTER} times faster, ${AGENTS} agents, ${Object.keys(SWARMS).length} swarms`;
  if (!existsSync(TRACE))
    return [row(`${what}: skipped, there is no ../shared/data/traces/llm_code_requests.csv`, '', '')];
  const jobs = readJobs();
  const [pool, queue] = [replay(jobs, poolOf(jobs)), replay(jobs, firstComeQueue())];
  const delays = (run: Replayed, ofFlood: boolean) => {
    const all = run.jobs.flatMap((job, i) =>
      (job.swarm === 'flood') === ofFlood ? [(run.startedAt[i] as number) - job.arrivesAt] : [],
    );
    const sorted = all.toSorted((a, b) => a - b);
    const at = (share: number) => ((sorted[Math.floor(sorted.length * share)] ?? 0) / 1000).toFixed(2);
    return `p50 ${at(0.5)} s, p95 ${at(0.95)} s, p99 ${at(0.99)} s`;
  };
  const [fair, unfair] = [fairness(pool), fairness(queue)];
  return [
    row(`${what}: delay of swarms that ask little`, `first come ${delays(queue, false)}`, delays(pool, false)),
    row(`${what}: delay of the one that asks much`, `first come ${delays(queue, true)}`, delays(pool, true)),
    {
      ...row(
        `${what}: Jain's index of what swarms get while they wait (median of ${WINDOW_MS / 1000} s)`,
        `first come ${unfair.toFixed(3)}`,
        fair.toFixed(3),
      ),
      target: 'more than first come',
      ok: fair > unfair,
    },
  ];
}

const row = (what: string, floor: string, measured: string): Row => ({
  ...{ what, floor, measured, ratio: '', target: '', ok: undefined },
});

function readJobs(): Job[] {
  const lines = readFileSync(TRACE, 'utf8').trim().split('\n').slice(1);
  const rows = lines.map((line) => line.split(','));
  const millis = (text: string) => Date.parse(`${text.slice(0, 23).replace(' ', 'T')}Z`);
  const first = millis(rows[0]?.[0] ?? '');
  const random = seeded(1);
  return rows.map(([time = '', read = '', written = '']) => ({
    swarm: whose(random()),
    arrivesAt: Math.round((millis(time) - first) / FASTER),
    durationMs: Math.max(1, Math.round((Number(read) / READ_PER_S + Number(written) / WRITTEN_PER_S) * 1000)),
  }));
}

function whose(at: number): string {
  let sum = 0;
  for (const [swarm, share] of Object.entries(SWARMS)) {
    sum += share;
    if (at < sum) return swarm;
  }
  return 'd';
}

/** Runs all jobs to their end, in virtual time. */
function replay(jobs: readonly Job[], allocator: Allocator): Replayed {
  const startedAt = new Array<number>(jobs.length).fill(Number.NaN);
  const ends = new DueQueue();
  let next = 0;
  let left = jobs.length;
  while (left > 0) {
    const arrival = jobs[next]?.arrivesAt ?? Number.POSITIVE_INFINITY;
    const end = ends.peek() ?? Number.POSITIVE_INFINITY;
    const due = allocator.nextDue() ?? Number.POSITIVE_INFINITY;
    const now = Math.min(arrival, end, due);
    if (end === now) {
      const job = Number(ends.due(now));
      ends.delete(String(job));
      allocator.done(job, now);
      left--;
    } else if (arrival === now) allocator.arrive(next++, now);
    else allocator.tick(now);
    for (const job of allocator.started()) {
      startedAt[job] = now;
      ends.set(String(job), now + (jobs[job] as Job).durationMs);
    }
  }
  return { jobs, startedAt };
}

function firstComeQueue(): Allocator {
  const waiting: number[] = [];
  let head = 0;
  let free = AGENTS;
  return {
    arrive: (job) => void waiting.push(job),
    done: () => void free++,
    started() {
      const started = waiting.slice(head, head + free);
      head += started.length;
      free -= started.length;
      return started;
    },
    nextDue: () => undefined,
    tick: () => {},
  };
}

/** The resource pool's machine, without journal and bus. Its time begins at 1, since 0 means never. */
function poolOf(jobs: readonly Job[]): Allocator {
  const run = runMachine(createPoolMachine({ ...DEFAULT_SETTINGS, maxRequests: jobs.length }), {
    principal: { kind: 'operator', name: 'bench', key: 'key' },
    now: 1,
    epochStart: 1,
    soft: { swarms: { synced: true, keyOf: () => 'key', registrationOf: () => '', names: () => [] } },
  });
  for (let i = 0; i < AGENTS; i++) {
    run.execute('registerAgent', {
      ...{ swarm: LENDER, name: `a${i}`, type: TYPE, capabilities: [], slots: 1, instance: 'i1', allowScripts: false },
      ...{ region: '', priority: 0, labels: {}, specialisations: [], cost: 0 },
    });
  }
  const jobOf = new Map<string, number>();
  const leaseOf = new Map<number, string>();
  let seen = run.events.length;
  return {
    arrive(job, now) {
      const { swarm } = jobs[job] as Job;
      const wish = {
        swarm,
        type: TYPE,
        capabilities: [],
        lender: LENDER,
        termMs: HOUR_MS,
        waitMs: HOUR_MS,
        priority: 0,
        id: '',
      };
      const { request, lease } = run.execute('requestAgent', wish, { now: now + 1 });
      jobOf.set(lease?.id ?? request.replace('request', 'lease'), job);
    },
    done(job, now) {
      run.execute('releaseLease', { lease: leaseOf.get(job) as string }, { now: now + 1 });
    },
    started() {
      const granted = run.events.slice(seen).flatMap(({ event }) => {
        return event.type === 'lease.granted' ? [event.data.lease] : [];
      });
      seen = run.events.length;
      return granted.map((lease) => {
        const job = jobOf.get(lease) as number;
        leaseOf.set(job, lease);
        return job;
      });
    },
    nextDue: () => {
      const due = run.nextDue();
      return due === undefined ? undefined : due - 1;
    },
    tick: (now) => void run.tick(now + 1),
  };
}

/**
 * Jain's index of the agents' time that swarms got, in each window among those that had something waiting from its
 * beginning to its end; the median of all windows in which that were two at least.
 */
function fairness({ jobs, startedAt }: Replayed): number {
  const last = Math.max(...jobs.map(({ durationMs }, i) => (startedAt[i] as number) + durationMs));
  const indexes: number[] = [];
  for (let from = 0; from < last; from += WINDOW_MS) {
    const to = from + WINDOW_MS;
    const waits = (at: number) =>
      new Set(
        jobs.flatMap(({ swarm, arrivesAt }, i) => (arrivesAt <= at && (startedAt[i] as number) > at ? [swarm] : [])),
      );
    const atEnd = waits(to);
    const contending = [...waits(from)].filter((swarm) => atEnd.has(swarm));
    if (contending.length < 2) continue;
    const got = contending.map((swarm) =>
      jobs.reduce(
        (sum, job, i) => (job.swarm === swarm ? sum + overlap(startedAt[i] as number, job, from, to) : sum),
        0,
      ),
    );
    indexes.push(jain(got));
  }
  return median(indexes);
}

const overlap = (start: number, { durationMs }: Job, from: number, to: number): number =>
  Math.max(0, Math.min(start + durationMs, to) - Math.max(start, from));
