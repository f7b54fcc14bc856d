import { join } from 'node:path';
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
    .reduce((message, { field }) => message.replace(`${field}: `, `${flagOf(field)}: `), error.message)
    .replace(/\bsee (List[A-Za-z]+)$/, (said, method: string) => (COMMANDS[method] ? `see ${COMMANDS[method]}` : said));
  return plainStates(ANOTHER_KEY.has(error.reason ?? '') ? `${text}; ${whereLooked(home)}` : text);
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

/** Reasons of a refusal that another key would not have had. */
const ANOTHER_KEY: ReadonlySet<string> = new Set(['TOKEN_KEY_UNKNOWN', 'NAME_TAKEN']);

const whereLooked = (home: string): string =>
  `keys were looked for in ${join(home, 'keys')}: if the owner's lies elsewhere, go to the folder where it was made, or name ` +
  'it by HIVEBUS_HOME';

const whoAreYou = (home: string): string =>
  `this needs to know who you are, and no operator's key lies in ${home}: run it where \`hivebus up\` was started, ` +
  'name the folder that holds its keys by HIVEBUS_HOME, or act as a swarm by --as swarm:NAME';
