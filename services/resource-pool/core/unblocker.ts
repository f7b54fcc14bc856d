import type { Unblocker } from '../../../libs/wire/hivebus/pool/v1/pool.ts';

/** Something that would let a waiting demand go on; what is not said is none. */
export const unblocker = (kind: string, text: string, more: Partial<Unblocker> = {}): Unblocker => ({
  ...{ kind, text, agents: 0, at: undefined, swarm: '', request: '' },
  ...more,
});
