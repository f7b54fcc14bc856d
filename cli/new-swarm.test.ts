import { expect, test } from 'vitest';
import { isSlip } from './new-swarm.ts';

test.each([
  ['cdoe', 'code'],
  ['coed', 'code'],
  ['docss', 'docs'],
  ['codee', 'code'],
  ['reserch-swrm', 'research-swarm'],
  ['my-raepo', 'my-repo'],
  ['myrepo', 'my-repo'],
])('%s is probably %s', (name, known) => expect(isSlip(name, known)).toBe(true));

test.each([
  ['code', 'docs'],
  ['blue', 'glue'],
  ['test', 'tests'],
  ['backends', 'backend'],
  ['guild', 'build'],
  ['us-west-1', 'us-east-1'],
  ['clientb', 'clienta'],
  ['code2', 'code'],
  ['team-read', 'team-red'],
  ['api', 'app'],
  ['load', 'lead'],
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
