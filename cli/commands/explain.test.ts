import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Group, TaskTies } from '../../libs/wire/hivebus/pool/v1/group.ts';
import type { ExplainResponse, Placement, Task, Unblocker } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { SAMPLES } from '../kinds/fixtures.ts';
import { explanation } from './explain.ts';
import { callsFor } from './explained-calls.ts';
import { aheadText, holdsFor } from './explained-wait.ts';

beforeEach(() => {
  vi.useFakeTimers({ now: Date.parse('2026-03-01T12:00:00Z') });
});
afterEach(() => {
  vi.useRealTimers();
});

const condition = (text: string, ruledOut: number, left: number, examples: string[] = []) => ({
  ...{ name: 'x', value: '', text, ruledOut, left, examples },
});

const waiting: ExplainResponse = {
  summary: 'has waited 4s for an agent',
  task: SAMPLES.task?.[1] as ExplainResponse['task'],
  history: [{ at: '2026-03-01T11:59:56.000Z', text: 'submitted by operator:local' }],
  placement: {
    agents: 120,
    conditions: [
      condition('is of type counter', 100, 20, ['code/linter-1', 'code/linter-2', 'quality/a-tester-of-everything-1']),
      condition('belongs to swarm code, or is lent to it', 16, 4, ['docs/wc-1', 'docs/wc-2', 'docs/wc-3']),
      condition('can wc', 0, 4),
      { ...condition('is not taken out of service', 1, 3, ['docs/wc-4']), name: 'drained' },
      condition('has a free slot', 4, 0, ['code/wc-1', 'code/wc-2', 'code/wc-3']),
    ],
    fitting: 0,
    ahead: 7,
    rivals: 3,
    unblockers: [
      {
        kind: 'request',
        text: 'request request-8h2kq0s7mz4x of swarm code for an agent of type counter is granted one that fits',
        ...{ agents: 0, at: undefined, swarm: '', request: 'request-8h2kq0s7mz4x' },
      },
      {
        kind: 'finish',
        text: 'a busy agent of type counter ends a task',
        agents: 4,
        at: undefined,
        swarm: '',
        request: '',
      },
      {
        kind: 'return',
        text: 'an agent comes home from a lease',
        agents: 1,
        at: '2026-03-01T12:00:41.000Z',
        swarm: '',
        request: '',
      },
      {
        kind: 'borrow',
        text: 'swarm code borrows an agent of type counter that is free elsewhere',
        agents: 3,
        at: undefined,
        swarm: '',
        request: '',
      },
      {
        kind: 'resume',
        text: 'an agent that was taken out of service is resumed',
        agents: 1,
        at: undefined,
        swarm: '',
        request: '',
      },
      {
        kind: 'open',
        text: 'swarm quality lends again: its lending is closed; then swarm code must borrow it',
        agents: 2,
        at: undefined,
        swarm: 'quality',
        request: '',
        lending: { parts: ['open'], to: [], maxLent: 0, keepPercent: 0, version: '4', thenBorrow: true },
      },
      {
        kind: 'lend-to',
        text: 'swarm docs lends to code, too: it lends to papers, quality only; and keeps less than 80% of its agents of type counter; request request-8h2kq0s7mz4x waits for it',
        agents: 1,
        at: undefined,
        swarm: 'docs',
        request: '',
        lending: {
          parts: ['lend-to', 'keep-less'],
          to: ['papers', 'quality', 'code'],
          maxLent: 0,
          keepPercent: 50,
          version: '3',
          thenBorrow: false,
        },
      },
      {
        kind: 'register',
        text: 'another agent of type counter that fits starts for swarm code',
        agents: 0,
        at: undefined,
        swarm: '',
        request: '',
      },
    ],
  },
  holds: [],
  revision: '77',
};

const scored = (agent: string, five: number[], behind = '') => {
  const [performance = 0, free = 0, locality = 0, priority = 0, cost = 0] = five;
  const parts = { performance, free, locality, specialisation: 100, priority, cost };
  return { agent, score: five.reduce((sum, each) => sum + each, 100), parts, behind };
};

const placed: ExplainResponse = {
  summary: 'runs on code/analyser-of-everything-that-there-is-1 for 4s, 9m56s before its time limit',
  task: SAMPLES.task?.[0] as ExplainResponse['task'],
  history: [
    { at: '2026-03-01T11:59:56.000Z', text: 'submitted by operator:local' },
    { at: '2026-03-01T11:59:56.001Z', text: 'attempt 1 given to code/analyser-of-everything-that-there-is-1' },
  ],
  placement: undefined,
  choice: {
    candidates: 12,
    best: [
      scored('code/analyser-of-everything-that-there-is-1', [181.25, 250, 300, 50, 25.4]),
      scored('code/analyser-2', [180, 250, 300, 50, 25.4], '1.3 less for performance'),
      scored(
        'quality/analyser-1',
        [181.25, 125, 0, 0, 25.4],
        '300 less for where it is, 125 less for free slots, 50 less for priority',
      ),
    ],
    policyVersion: '3',
    summary: 'code/analyser-of-everything-that-there-is-1 had the highest score of 12 agents that could have it',
  },
  holds: [],
  revision: '78',
};

test.each([80, 160])('a task that was given out at %d columns', async (width) => {
  await expect(`${explanation(placed, width)}\n`).toMatchFileSnapshot(`golden/explain-placed-${width}.txt`);
});

test.each([80, 160])('a waiting task at %d columns', async (width) => {
  await expect(`${explanation(waiting, width)}\n`).toMatchFileSnapshot(`golden/explain-${width}.txt`);
});

const asking: ExplainResponse = {
  ...waiting,
  summary: 'has waited 50m for an agent, for another 10m at most',
  task: undefined,
  request: SAMPLES.request?.[1] as ExplainResponse['request'],
  placement: { ...(waiting.placement as Placement), ahead: 1, rivals: 1, conditions: [], agents: 0 },
};

test.each([80, 160])('a waiting request at %d columns', async (width) => {
  await expect(`${explanation(asking, width)}\n`).toMatchFileSnapshot(`golden/explain-request-${width}.txt`);
});

test('a borrowed agent must have every label that the placement asks for, once each', () => {
  const labelled = ['os=linux', 'hivebus-volumes=yes'].map((value) => ({
    ...condition('', 0, 1),
    name: 'label',
    value,
  }));
  const placement = { ...(waiting.placement as Placement), conditions: labelled };
  const [borrow] = placement.unblockers.filter(({ kind }) => kind === 'borrow');
  expect(callsFor(borrow as Unblocker, placement, waiting.task?.spec)).toEqual([
    'hivebus request-resource --swarm code --type counter --capability wc --agent-label os=linux ' +
      '--specialisation text --region eu-west --agent-label hivebus-volumes=yes',
  ]);
});

test('what goes before, and how much of it competes', () => {
  const text = (ahead: number, rivals?: number) =>
    aheadText({ ...(waiting.placement as Placement), ahead, rivals }, 'task');
  expect([text(0, 0), text(7), text(7, 0), text(1, 0), text(7, 7), text(7, 3)]).toEqual([
    '',
    '7 tasks for agents of this type before it',
    '7 tasks for agents of this type before it, but none for one that it could have',
    '1 task for agents of this type before it, but not for one that it could have',
    '7 tasks for agents of this type before it, which could take one that it could have, too',
    '7 tasks for agents of this type before it; 3 of them could take one that it could have, too',
  ]);
});

const hold = (kind: string, text: string): Unblocker => ({
  kind,
  text,
  agents: 0,
  at: undefined,
  swarm: '',
  request: '',
});

const tied = (...holds: Unblocker[]): ExplainResponse => {
  const task = SAMPLES.task?.[1] as Task;
  const ties: TaskTies = { after: [], group: 'dwcp', phase: 'ship', vote: 0 };
  const blocked = { ...task, state: 'TASK_STATE_BLOCKED', spec: { ...task.spec, ties } } as Task;
  const summary = 'is held back for 4s; it waits for a yes';
  return { ...waiting, summary, task: blocked, holds, placement: undefined };
};

const approved = hold('approve', 'swarm code or an operator says yes');

test.each([80, 160])('a task that waits for a yes at %d columns: the call that says it', async (width) => {
  await expect(`${explanation(tied(approved), width)}\n`).toMatchFileSnapshot(`golden/explain-approval-${width}.txt`);
});

test.each([80, 160])('a task that much holds back at %d columns: all of it, with calls', async (width) => {
  const answer = tied(
    hold('resume-group', 'group dwcp is resumed (paused by operator:local: the disk is full)'),
    hold('gate', 'swarm code or an operator says yes to going on after phase measure'),
    hold('after', 'tasks dwcp-build (blocked), dwcp-bench (running) succeed, else this one is cancelled'),
    approved,
  );
  await expect(`${explanation(answer, width)}\n`).toMatchFileSnapshot(`golden/explain-blocked-${width}.txt`);
});

test('the calls that let a group go on', () => {
  const [group] = SAMPLES.group as [Group];
  const holds = [hold('resume-group', 'it is resumed'), hold('gate', 'somebody says yes'), hold('turn', 'its turn')];
  expect(holdsFor({ ...waiting, task: undefined, group, holds }).map(({ calls }) => calls)).toEqual([
    ['hivebus group resume dwcp'],
    ['hivebus group approve dwcp'],
    [],
  ]);
});

const migrating: ExplainResponse = {
  summary: 'code/analyser-1 gets nothing new and finishes nightly, for another 41s at most; then others go on with it',
  migration: {
    migration: {
      ...{ id: 'migration-3de8knasftcs', agent: 'code/analyser-1', from: 'code', to: 'docs', name: 'analyser-1' },
      ...{ state: 'MIGRATION_STATE_DRAINING', graceMs: 60_000, reason: '', given: true, taken: true },
      ...{ startedAt: '2026-03-01T11:59:41.000Z', stateSince: '2026-03-01T11:59:41.000Z', revision: '78' },
      endedAt: undefined,
    },
    waitingFor: 'what code/analyser-1 still runs: nightly',
    deadline: '2026-03-01T12:00:41.000Z',
    running: ['nightly'],
    left: ['weekly'],
  },
  history: [
    { at: '2026-03-01T11:59:41.000Z', text: 'code/analyser-1 shall be docs/analyser-1, asked for by operator:local' },
    { at: '2026-03-01T11:59:41.000Z', text: 'both agreed: it is given nothing new' },
  ],
  holds: [],
  placement: undefined,
  revision: '78',
};

test.each([80, 160])('an agent that moves at %d columns', async (width) => {
  await expect(`${explanation(migrating, width)}\n`).toMatchFileSnapshot(`golden/explain-migration-${width}.txt`);
});
