import type { HiveError } from '../libs/kernel/errors.ts';
import { plainStates } from './values.ts';

/** What fields of requests are called on the command line, where they are called otherwise. */
const FLAGS: Readonly<Record<string, string>> = {
  timeoutMs: '--timeout',
  maxAttempts: '--max-attempts',
  termMs: '--term',
  removeAfterMs: '--remove-after',
  capabilities: '--capability',
  labels: '--label',
  queenEndpoint: '--endpoint',
  agentType: '--type',
  lender: '--from',
  tags: '--tag',
  slots: '--slots',
  servers: '--nats',
  ...Object.fromEntries(
    ['payload', 'script', 'title', 'priority', 'type', 'swarm', 'region', 'project', 'reason', 'id'].map((field) => [
      field,
      `--${field}`,
    ]),
  ),
};

/** An error in the words of the command line: its options for fields, states without their prefix, whose key is missing. */
export function forPeople(error: HiveError, home: string): string {
  if (error.reason === 'TOKEN_MISSING') return whoAreYou(home);
  const text = error.violations.reduce(
    (message, { field }) => message.replace(`${field}: `, `${flagOf(field)}: `),
    error.message,
  );
  return plainStates(text);
}

/** `spec.timeoutMs` as `--timeout`, `spec.labels.Bad` as `--label Bad`, `capabilities[1]` as `--capability`. */
function flagOf(field: string): string {
  const [name = '', ...rest] = field
    .replace(/^spec\./, '')
    .replace(/\[\d+\]$/, '')
    .split('.');
  const flag = FLAGS[name];
  return flag === undefined ? field : [flag, ...rest].join(' ');
}

const whoAreYou = (home: string): string =>
  `this needs to know who you are, and no operator's key lies in ${home}: run it where \`hivebus up\` was started, ` +
  'name the folder that holds its keys by HIVEBUS_HOME, or act as a swarm by --as swarm:NAME';
