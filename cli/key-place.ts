import { isAbsolute, relative } from 'node:path';
import { swarmKeyFile } from '../libs/sdk/keys.ts';
import type { Context } from './context.ts';

/** Where a swarm's key is kept, for people: from this folder on where it lies below it. */
export function keyPlace({ home, federation }: Context, swarm: string): string {
  const file = swarmKeyFile(home, federation, swarm);
  const near = relative(process.cwd(), file);
  return near.startsWith('..') || isAbsolute(near) ? file : near;
}
