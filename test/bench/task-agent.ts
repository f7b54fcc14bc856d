import { parseArgs } from 'node:util';
import { createAgent } from '../../libs/sdk/agent.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { answer } from './children.ts';

/** An agent process. Its tasks do nothing, or with `--hang` do not end. Its swarm must be registered, its key in `home`. */
const { servers, home, swarm, type, name, slots, hang } = parseArgs({
  options: {
    servers: { type: 'string', default: '' },
    home: { type: 'string', default: '' },
    swarm: { type: 'string', default: '' },
    type: { type: 'string', default: '' },
    name: { type: 'string', default: 'a1' },
    slots: { type: 'string', default: '1' },
    hang: { type: 'boolean', default: false },
  },
}).values;
const hive = await connect({ servers, home, env: {} });
const agent = await createAgent({
  ...{ hive, swarm, name, type, slots: Number(slots) },
  handler: async (_, run) => {
    if (hang) await new Promise((resolve) => run.signal.addEventListener('abort', resolve));
    return {};
  },
});
console.log('is ready');

answer(
  async () => ({}),
  async () => {
    await agent.stop();
    await hive[Symbol.asyncDispose]();
  },
);
