import { addressOf, type Greeting, greeting } from '../../libs/bus/greeting.ts';
import { serverFinding } from './bus.ts';
import { broken, type Finding, unknown } from './finding.ts';

const START = 'start it; while most servers of its cluster run it catches up by itself';
const LOOK = 'look at its process and its network; a process that is stopped goes on by kill -CONT, or is started anew';

/**
 * Of several addresses: who answers at each, and whether they are servers of one cluster. To one alone a connection is
 * made, which says the same.
 */
export async function lookAtServers(servers: readonly string[]): Promise<Finding[]> {
  const places = servers.map((server) => ({ server, ...addressOf(server) }));
  const answers = await Promise.all(places.map(({ host, port }) => greeting(host, port)));
  const [first] = answers;
  if (answers.length === 1) return first?.by === 'nats' ? othersOf(first.cluster) : [];
  const named = answers.map((answer, i) => answerFinding(`server ${servers[i]}`, answer));
  return [...named, ...apartFinding(answers)];
}

function othersOf(cluster: string): Finding[] {
  if (cluster === '') return [];
  const mend = 'name them all, split by commas: --nats or HIVEBUS_NATS; services need that, too, to find one that runs';
  return [unknown('servers', `only one of cluster ${cluster} is named; the others were not looked at`, mend)];
}

function answerFinding(check: string, answer: Greeting): Finding {
  switch (answer.by) {
    case 'nats':
      return serverFinding(check, answer);
    case 'nobody':
      return broken(check, 'nobody listens there', START);
    case 'silence':
      return broken(check, 'says nothing: it is stopped, cut off or too busy', LOOK);
    case 'stranger':
      return broken(
        check,
        `is no NATS server${answer.speaks && `: it speaks ${answer.speaks}`}`,
        'name the address of one',
      );
  }
}

/** Servers that know nothing of each other keep journals of their own: who asks gets the one or the other. */
function apartFinding(answers: readonly Greeting[]): Finding[] {
  const servers = answers.filter((answer) => answer.by === 'nats');
  const clusters = servers.map(({ cluster }) => cluster);
  if (clusters.length < 2 || (clusters[0] !== '' && new Set(clusters).size === 1)) return [];
  const found = servers.map(
    ({ name, version, cluster }) => `${name || version} is of ${cluster ? `cluster ${cluster}` : 'none'}`,
  );
  const mend = 'name the servers of one cluster only, or give all the same cluster name, and routes to each other';
  return [broken('cluster', `they are servers apart: ${found.join(', ')}`, mend)];
}
