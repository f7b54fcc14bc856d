import { createAgent } from '../../libs/sdk/agent.ts';
import { connect } from '../../libs/sdk/connect.ts';
import { answer } from './children.ts';

/** An agent process whose tasks do nothing. Its swarm must be registered, with a key in `home`. */
const [servers = '', home = '', swarm = '', type = '', slots = ''] = process.argv.slice(2);
const hive = await connect({ servers, home, env: {} });
const agent = await createAgent({ hive, swarm, name: 'a1', type, slots: Number(slots), handler: async () => ({}) });

answer(
  async () => ({}),
  async () => {
    await agent.stop();
    await hive[Symbol.asyncDispose]();
  },
);
