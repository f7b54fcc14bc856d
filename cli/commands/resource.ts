import type { Command } from 'commander';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { kindTable } from '../kinds/kind.ts';
import { LEASES } from '../kinds/leases.ts';
import { REQUESTS, withdraw } from '../kinds/requests.ts';
import { printable } from '../printable.ts';
import { idOf } from '../values.ts';
import { addList } from './list.ts';
import { addRequestResource } from './request-resource.ts';

export function addResource(program: Command): void {
  addList(program.command('lease').description('agents that are lent'), LEASES);
  addRequestResource(program);
  program
    .command('release-resource')
    .description('give a borrowed agent back; what it runs is finished first')
    .argument('<lease>', "the lease's id", idOf('lease'))
    .action(action(release));
  const request = program.command('request').description('requests for agents that wait');
  addList(request, REQUESTS);
  request
    .command('get')
    .description('one request that waits')
    .argument('<id>', '', idOf('request'))
    .action(action(get, { names: true }));
  request
    .command('withdraw')
    .description('take a request back: it waits no longer')
    .argument('<id>', '', idOf('request'))
    .action(action(takeBack));
}

async function release(context: Context, lease: string): Promise<void> {
  await withHive(context, async (hive) => {
    const answer = await hive.pool.releaseLease({ lease });
    context.output.data(answer, () => kindTable(LEASES, answer.lease ? [answer.lease] : []));
  });
}

async function get(context: Context, id: string): Promise<void> {
  await withHive(context, async (hive) => {
    const found = await REQUESTS.get(hive, id);
    context.output.data(
      found,
      () => REQUESTS.details(printable(found)),
      () => [`request/${id}`],
    );
  });
}

async function takeBack(context: Context, id: string): Promise<void> {
  await withHive(context, async (hive) => {
    const { answer, said } = await withdraw(hive, id);
    context.output.data({ request: id, ...answer }, () => said);
  });
}
