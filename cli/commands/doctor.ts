import type { Command } from 'commander';
import { skipRecord } from '../../libs/journal/skip.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { wholeNumber } from '../values.ts';

export function addDoctor(program: Command): void {
  const doctor = program.command('doctor').description('mend what a service cannot mend itself');
  doctor
    .command('skip-record')
    .description('pass over a record that a journal cannot apply and has stopped at; a last resort')
    .argument('<sequence>', 'the record, as the error named it', wholeNumber)
    .requiredOption('--service <name>', 'whose journal: registry or pool')
    .requiredOption('--reason <text>', 'why, kept in the journal')
    .action(action(skip));
}

async function skip(context: Context, sequence: number, options: { service: string; reason: string }): Promise<void> {
  await withHive(context, async ({ nc, federation, identity }) => {
    if (identity.kind !== 'operator') {
      throw new HiveError('PERMISSION_DENIED', `${identity.kind} may not pass over records; only operators may`);
    }
    const by = `operator:${identity.name}`;
    await skipRecord(nc, federation, options.service, { skip: sequence, by, reason: options.reason });
    context.output.note(`record ${sequence} of ${options.service} will be passed over; start the service now`);
  });
}
