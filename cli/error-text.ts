import { join } from 'node:path';
import { formatDuration, parseDuration } from '../libs/kernel/durations.ts';
import type { HiveError, Violation } from '../libs/kernel/errors.ts';
import { plainStates } from './values.ts';

/** What fields of requests are called on the command line, where they are called otherwise. */
const FLAGS: Readonly<Record<string, string>> = {
  timeoutMs: '--timeout',
  maxAttempts: '--max-attempts',
  termMs: '--term',
  waitMs: '--wait',
  removeAfterMs: '--remove-after',
  capabilities: '--capability',
  labels: '--label',
  queenEndpoint: '--endpoint',
  agentType: '--type',
  lender: '--from',
  tags: '--tag',
  slots: '--slots',
  servers: '--nats',
  lowPercent: '--low',
  highPercent: '--high',
  reservePercent: '--reserve',
  graceMs: '--grace',
  noticeMs: '--notice',
  keepPercent: '--keep',
  maxLent: '--max-lent',
  recallPriority: '--recall-priority',
  to: '--to',
  weights: '--weight',
  weight: '--weight',
  typicalCost: '--typical-cost',
  ageingMs: '--ageing',
  stealAfterMs: '--steal-after',
  maxRunning: '--max-running',
  maxQueued: '--max-queued',
  maxLeases: '--max-leases',
  maxRequests: '--max-requests',
  submitsPerSecond: '--submits-per-second',
  submitBurst: '--submit-burst',
  'policy.swarm': '<swarm>',
  'limits.swarm': '<swarm>',
  'rebalance.everyMs': '--rebalance',
  'rebalance.looks': '--rebalance-looks',
  'rebalance.maxMoves': '--rebalance-moves',
  'rebalance.rules.lowPercent': '--rebalance-low',
  'rebalance.rules.highPercent': '--rebalance-high',
  'rebalance.rules.reservePercent': '--rebalance-reserve',
  'retry.backoffMs': '--backoff',
  'retry.maxBackoffMs': '--max-backoff',
  'limits.queuedMs': '--max-wait',
  'limits.totalMs': '--max-total',
  'budget.spend': '--spend',
  'budget.hops': '--hops',
  'volumes.names': '--volume',
  'ties.after': '--after',
  'ties.group': '--group',
  'ties.phase': '--phase',
  'selector.labels': '--agent-label',
  'selector.specialisations': '--specialisation',
  'selector.region': '--region',
  ...Object.fromEntries(
    ['payload', 'script', 'title', 'priority', 'type', 'swarm', 'region', 'project', 'reason', 'id'].map((field) => [
      field,
      `--${field}`,
    ]),
  ),
};

/** What the command line calls methods that errors name. */
const COMMANDS: Readonly<Record<string, string>> = {
  ListFederations: 'hivebus get federations',
  ListClusters: 'hivebus get clusters',
  ListDeclaredAgents: 'hivebus get swarmagents',
};

/** An error in the words of the command line: its options for fields, states without their prefix, whose key is missing. */
export function forPeople(error: HiveError, home: string): string {
  if (error.reason === 'TOKEN_MISSING') return whoAreYou(home);
  const text = error.violations
    .reduce((message, fault) => message.replace(faultText(fault), () => faultText(inOptions(fault))), error.message)
    .replace(/\bsee (List[A-Za-z]+)$/, (said, method: string) => (COMMANDS[method] ? `see ${COMMANDS[method]}` : said));
  return plainStates(ANOTHER_KEY.has(error.reason ?? '') ? `${text}; ${whereLooked(home)}` : text);
}

const faultText = ({ field, value, rule }: Violation): string => `${field}: ${value} ${rule}`;

/** In the words of the command line: options for fields, in the rule, too, and durations for milliseconds. */
function inOptions({ field, value, rule }: Violation): Violation {
  const flag = flagOf(field);
  const beside = field.slice(0, field.lastIndexOf('.') + 1);
  const named = rule.replace(/\b[a-z]+(?:[A-Z][a-z]+)+\b/g, (name) => FLAGS[beside + name] ?? FLAGS[name] ?? name);
  if (flag === field || !field.endsWith('Ms')) return { field: flag, value, rule: named };
  return { field: flag, value: inTime(value), rule: inTime(named) };
}

const inTime = (text: string): string => text.replace(/\b\d+\b/g, (ms) => durationText(Number(ms)));

/** As it may be typed: `2h`, and never rounded. */
function durationText(ms: number): string {
  if (ms === 0) return '0s';
  const text = formatDuration(ms);
  return parseDuration(text) === ms ? text : `${ms}ms`;
}

/**
 * `spec.timeoutMs` as `--timeout`, `spec.labels.Bad` as `--label Bad`, `capabilities[1]` as `--capability`,
 * `spec.ties.after[0].task` as `--after`, `capabilities[0].capacity` as `--offer capacity`.
 */
function flagOf(field: string): string {
  const known = FLAGS[field];
  if (known !== undefined) return known;
  const offered = /^capabilities\[\d+\]\.(.+)$/.exec(field)?.[1];
  if (offered !== undefined) return `--offer ${offered}`;
  const path = field
    .replace(/^(spec|rules|policy)\.|^limits\.(?!queuedMs|totalMs)/, '')
    .replace(/(\[\d+\](\.task)?)$/, '')
    .split('.');
  const pair = FLAGS[path.slice(0, 2).join('.')];
  const flag = pair ?? FLAGS[path[0] ?? ''];
  return flag === undefined ? field : [flag, ...path.slice(pair === undefined ? 1 : 2)].join(' ');
}

/** Reasons of a refusal that another key would not have had. */
const ANOTHER_KEY: ReadonlySet<string> = new Set(['TOKEN_KEY_UNKNOWN', 'NAME_TAKEN']);

const whereLooked = (home: string): string =>
  `keys were looked for in ${join(home, 'keys')}: if the owner's lies elsewhere, go to the folder where it was made, or name ` +
  'it by HIVEBUS_HOME';

const whoAreYou = (home: string): string =>
  `this needs to know who you are, and no operator's key lies in ${home}: run it where \`hivebus up\` was started, ` +
  'name the folder that holds its keys by HIVEBUS_HOME, or act as a swarm by --as swarm:NAME';
