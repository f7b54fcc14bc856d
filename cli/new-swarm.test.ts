import { expect, test } from 'vitest';
import { isSlip } from './new-swarm.ts';

test.each([
  ['cdoe', 'code'],
  ['coed', 'code'],
  ['docss', 'docs'],
  ['doc', 'docs'],
  ['reserch-swrm', 'research-swarm'],
  ['my-raepo', 'my-repo'],
  ['myrepo', 'my-repo'],
])('%s is probably %s', (name, known) => expect(isSlip(name, known)).toBe(true));

test.each([
  ['code', 'docs'],
  ['a', 'b'],
  ['ops', 'op'],
  ['team-a', 'team-b'],
  ['team-1', 'team-2'],
  ['crew9', 'crew10'],
  ['q0', 'q12'],
  ['frontend', 'backend'],
  ['quality', 'security'],
  ['eu-west', 'eu-east'],
])('%s is another than %s', (name, known) => expect(isSlip(name, known)).toBe(false));
