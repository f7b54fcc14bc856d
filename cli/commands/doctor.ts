import { type Command, Option } from 'commander';
import { skipRecord } from '../../libs/journal/skip.ts';
import { counted } from '../../libs/kernel/counted.ts';
import { HiveError } from '../../libs/kernel/errors.ts';
import type { Hive } from '../../libs/sdk/hive.ts';
import { action, withHive } from '../action.ts';
import type { Context } from '../context.ts';
import { lookAtDisk, lookAtJetStream, lookAtMonitoring, lookAtServer } from '../doctor/bus.ts';
import { type Finding, look, type Status } from '../doctor/finding.ts';
import { lookAtJournals } from '../doctor/journals.ts';
import { lookAtIdentity, lookAtKeys } from '../doctor/keys.ts';
import { lookAtServers } from '../doctor/servers.ts';
import { connectTrouble } from '../doctor/trouble.ts';
import { EXIT } from '../exit-codes.ts';
import { colors } from '../output.ts';
import { wholeNumber } from '../values.ts';
import { wrappedTable } from '../wrapped-table.ts';

const HELP = `
Looks at the NATS server (version, JetStream and its room, whether it syncs, its
disk and clock), at the journals of each federation (streams, copies, leaders,
replicas and how far they are behind, clocks, dead letters), and at the keys.
Says what is wrong and how to mend it.

Exit codes: 0 nothing is broken; 1 something is; 3 nothing can be reached.

Examples:
  hivebus doctor
  hivebus doctor --nats nats://10.0.0.7:4222 --monitoring http://10.0.0.7:8222
  hivebus doctor --nats nats://a:4222,nats://b:4222,nats://c:4222 \\
      --monitoring http://a:8222,http://b:8222,http://c:8222
  hivebus doctor -o json
  hivebus doctor skip-record 1234 --service pool \\
      --reason 'damaged disk, ticket 17'`;

export function addDoctor(program: Command): void {
  const doctor = program
    .command('doctor')
    .description('look for what is wrong, and say how to mend it')
    .option(
      '--monitoring <urls>',
      "the NATS servers' monitoring ports (default: that of a hivebus up that is found here)",
    )
    .addHelpText('after', HELP)
    .action(action(examine));
  doctor
    .command('skip-record')
    .description('pass over a record that a journal cannot apply and has stopped at; a last resort')
    .argument('<sequence>', 'the record, as the error named it', wholeNumber)
    .addOption(new Option('--service <name>', 'whose journal').choices(['registry', 'pool']).makeOptionMandatory())
    .requiredOption('--reason <text>', 'why, kept in the journal')
    .action(action(skip));
}

async function examine(context: Context, { monitoring }: { monitoring?: string }): Promise<number> {
  const { output } = context;
  const own = context.run?.nats === context.nats ? context.run : undefined;
  const keyMend = `see ${context.home}`;
  const findings: Finding[] = [...(await look('keys', keyMend, () => lookAtKeys(context.home)))];
  let code: number | undefined;
  findings.push(...(await look('servers', '', () => lookAtServers(context.nats.split(',')))));
  try {
    output.progress(`looking at ${context.nats}`);
    await using hive = await context.connectAs({ kind: 'anonymous' });
    findings.push(...(await look('identity', keyMend, () => lookAtIdentity(() => context.connect()))));
    findings.push(...(await lookAtBus(hive, monitoring ?? own?.monitoring, own?.home)));
    for (const federation of await federationsOf(hive)) {
      output.progress(`looking at federation ${federation}`);
      findings.push(...(await look(`federation ${federation}`, '', () => lookAtJournals(hive.nc, federation))));
    }
  } catch (caught) {
    const error = HiveError.from(caught);
    const trouble = connectTrouble(error);
    if (!trouble) throw error;
    findings.push(trouble);
    if (error.code === 'UNAVAILABLE') code = EXIT.unreachable;
  }
  const isBroken = findings.some(({ status }) => status === 'fault');
  output.data({ ok: !isBroken, findings }, () => report(findings));
  return code ?? (isBroken ? EXIT.failed : EXIT.ok);
}

async function lookAtBus(hive: Hive, monitoring: string | undefined, home: string | undefined): Promise<Finding[]> {
  const { nc } = hive;
  const version = nc.info?.version ?? '0.0.0';
  const found = [
    lookAtServer(nc),
    await lookAtJetStream(nc),
    await lookAtMonitoring(monitoring, version),
    ...(monitoring ? [] : [await look('disk', '', () => lookAtDisk(home))]),
  ];
  return found.flat();
}

/** Those that the registry knows; the one that is asked for when it does not answer. */
async function federationsOf(hive: Hive): Promise<string[]> {
  try {
    return (await hive.registry.listFederations({}, { timeoutMs: 3000 })).federations.map(({ name }) => name);
  } catch {
    return [hive.federation];
  }
}

const COLORS: Readonly<Record<Status, (text: string) => string>> = {
  ok: colors.green,
  unknown: colors.dim,
  warning: colors.yellow,
  fault: colors.red,
};

/** What was found, and below it how to mend what is not as it should be; not wider than `width`. */
export function report(findings: readonly Finding[], width?: number): string {
  const rows = findings.map(({ check, status, found }) => [check, COLORS[status](status), found]);
  const parts = [wrappedTable(['LOOKED AT', 'IS', 'FOUND'], rows, width)];
  const mends = findings.filter(({ status, mend }) => status !== 'ok' && mend !== '').map(({ mend }) => mend);
  if (mends.length > 0)
    parts.push(['To mend', ...[...new Set(mends)].map((mend) => advice(mend, findings))].join('\n'));
  const count = (wanted: Status) => findings.filter(({ status }) => status === wanted).length;
  const [faults, warnings, unknown] = [count('fault'), count('warning'), count('unknown')];
  const said = [
    ...(warnings > 0 ? [counted(warnings, 'warning')] : []),
    ...(unknown > 0 ? [`${unknown} unknown`] : []),
  ];
  if (faults > 0) parts.push(`${faults === 1 ? 'one thing is' : `${faults} things are`} broken`);
  else parts.push(said.length > 0 ? `nothing is broken, ${said.join(', ')}` : 'all is well');
  return parts.join('\n\n');
}

/** Once for all that it mends. */
function advice(mend: string, findings: readonly Finding[]): string {
  const mended = findings.filter((finding) => finding.status !== 'ok' && finding.mend === mend);
  const lines = mended.map(({ check, status, found }) => `  ${COLORS[status](check)}: ${found}`);
  return [...lines, `    ${mend}`].join('\n');
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
