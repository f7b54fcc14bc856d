import { currentNats } from '../../libs/testkit/current-nats.ts';
import { noNetwork } from '../../libs/testkit/network.ts';

/** Says once, before the tests of this project, what of it is skipped and why. */
export default function told(): void {
  const nats = currentNats();
  if ('missing' in nats) return console.warn(`skipped: cluster tests: ${nats.missing}`);
  const reason = noNetwork();
  if (reason) console.warn(`skipped: cluster tests that cut a server off: ${reason}`);
}
