import type { Command } from 'commander';
import { exampleText } from './help.ts';

/** Examples of commands whose help says no more than these. The test of the program checks each against its options. */
const EXAMPLES: Readonly<Record<string, readonly string[]>> = {
  up: [
    'hivebus up',
    'hivebus up --data /var/lib/hivebus --port 0 --grpc-port 0',
    'hivebus up --nats nats://10.0.0.7:4222',
  ],
  status: ['hivebus status', 'hivebus --context prod status -o json'],
  'federation init': ['hivebus federation init research --join operator --remove-after 1h'],
  'federation join': ['hivebus federation join --swarm code --offer coder:4:lint,fix --tag fast'],
  'federation status': ['hivebus federation status', 'hivebus --federation research federation status'],
  'federation swarms': ['hivebus federation swarms --type coder --tag fast'],
  'federation resources': ['hivebus federation resources', 'hivebus federation resources -o json'],
  'federation list': ['hivebus federation list', 'hivebus federation list -o name'],
  'register-swarm': [
    'hivebus register-swarm code --project hivebus --offer coder:4',
    'hivebus register-swarm code --stay',
  ],
  'deregister-swarm': ['hivebus deregister-swarm code', 'hivebus --as operator:ada deregister-swarm code'],
  'request-resource': [
    'hivebus request-resource --swarm code --type linter --term 10m',
    'hivebus request-resource --swarm code --type linter --capability eslint --from quality --hold',
    'hivebus request-resource --swarm code --type trainer --agent-label gpu=yes --wait 5m --priority 10',
  ],
  'request list': ['hivebus request list', 'hivebus request list --swarm code -o json'],
  'request get': ['hivebus request get request-3de8knasftcs', 'hivebus explain request-3de8knasftcs'],
  'request withdraw': ['hivebus request withdraw request-3de8knasftcs'],
  'release-resource': ['hivebus release-resource lease-3de8knasftcs'],
  'lease list': ['hivebus lease list --swarm code', 'hivebus lease list --all -o json'],
  'agent list': ['hivebus agent list', 'hivebus agent list --swarm code -o name'],
  'agent drain': [
    'hivebus agent drain code/linter-1',
    "hivebus agent drain code/linter-1 --grace 10m --reason 'new disk'",
  ],
  'agent resume': ['hivebus agent resume code/linter-1'],
  'agent migrate': [
    'hivebus agent migrate code/linter-1 --to docs',
    'hivebus agent migrate code/linter-1 --to docs --as-name linter-9 --grace 0s',
  ],
  'agent migrations': ['hivebus agent migrations', 'hivebus agent migrations --swarm code --all -o json'],
  'agent stay': ["hivebus agent stay migration-3de8knasftcs --reason 'still needed'"],
  rebalance: [
    'hivebus rebalance --dry-run',
    'hivebus rebalance --type linter --high 150 --term 30m',
    'hivebus rebalance --for-good --grace 5m',
  ],
  'task submit': [
    `hivebus task submit --swarm code --type linter --payload '{"file": "a.ts"}' --wait`,
    'hivebus task submit --swarm code --type shell --script @build.sh --timeout 5m --label commit=3f2a',
    'hivebus task submit --swarm code --type shell --script @deploy.sh --after build --after test --approval operator',
    'hivebus task submit --file examples/manifests/count-lines.yaml --swarm code --id nightly',
    'hivebus task submit --swarm code --type trainer --agent-label gpu=yes --specialisation vision --region eu-west',
    'hivebus task submit --swarm code --type linter --max-attempts 5 --backoff 2s --max-wait 10m --max-total 1h',
    'hivebus task submit --swarm code --type linter --each files.jsonl',
  ],
  'task get': ['hivebus task get nightly', 'hivebus task get nightly -o yaml'],
  'task list': [
    'hivebus task list --swarm code --state queued,running',
    'hivebus task list --label commit=3f2a -o name',
  ],
  'task cancel': ["hivebus task cancel nightly --reason 'no longer needed'"],
  'task dead-letters': ['hivebus task dead-letters --swarm code', 'hivebus task dead-letters nightly'],
  'task replay': ['hivebus task replay nightly --id nightly-again'],
  'task result': ['hivebus task result nightly'],
  'task artefacts': ['hivebus task artefacts nightly', 'hivebus task artefacts nightly report.html --to report.html'],
  'task approve': ["hivebus task approve deploy --reason 'looked at it'"],
  'task reject': ["hivebus task reject deploy --reason 'not on a Friday'"],
  'group list': ['hivebus group list --swarm code', 'hivebus group list -o name'],
  'group get': ['hivebus group get dwcp', 'hivebus group get dwcp -o json'],
  'group pause': ["hivebus group pause dwcp --reason 'the network is down'"],
  'group resume': ['hivebus group resume dwcp'],
  'group cancel': ["hivebus group cancel dwcp --reason 'no longer needed'"],
  'group approve': ["hivebus group approve dwcp --reason 'the numbers are fine'"],
  'group reject': ["hivebus group reject dwcp --phase measure --reason 'too slow'"],
  'task checkpoint': ['hivebus task checkpoint nightly', 'hivebus task checkpoint nightly -o json'],
  'task logs': ['hivebus task logs nightly', 'hivebus task logs nightly --follow'],
  'doctor skip-record': ["hivebus doctor skip-record 1234 --service pool --reason 'damaged disk, ticket 17'"],
  'context list': ['hivebus context list'],
  'context set': [
    'hivebus context set prod --nats nats://10.0.0.7:4222 --federation research --as operator:ada',
    'hivebus context set laptop --home .hivebus',
  ],
  'context use': ['hivebus context use prod', 'hivebus context use --none'],
  'context delete': ['hivebus context delete prod'],
};

/** Adds the examples to the help of each command below `parent`. */
export function addExamples(parent: Command, path = ''): void {
  for (const command of parent.commands) {
    const own = path === '' ? command.name() : `${path} ${command.name()}`;
    const examples = EXAMPLES[own];
    if (examples) command.addHelpText('after', `\nExamples:\n${examples.map(exampleText).join('\n')}`);
    addExamples(command, own);
  }
}
