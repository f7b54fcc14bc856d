import type { RegisterSwarmRequest } from '../../libs/wire/hivebus/registry/v1/registry.ts';
import { startEtcd } from './etcd.ts';
import { inTurns, measure, ms, perSecond, type Row, times } from './harness.ts';
import { setStage } from './stage.ts';

const IN_FLIGHT = 64;
const SWARMS = 5000;

/** A registration that changes something each time, so that each one is a durable write. */
export function registration(i: number): Partial<RegisterSwarmRequest> {
  const capability = { agentType: 'analyser', capacity: 4, specializations: ['typescript'], skills: [] };
  return {
    name: `s${i % SWARMS}`,
    project: `project-${i}`,
    region: 'lab',
    tags: ['bench'],
    capabilities: [capability],
  };
}

/** Registrations against etcd's lease put, the usual way to register a service. Both sync each write. */
export async function registrationRows(): Promise<Row[]> {
  await using stage = await setStage({ syncAlways: true });
  await stage.start('registry').says('is serving');
  await using etcd = await startEtcd();
  const { registry } = await stage.connect();
  let count = 0;
  const register = () => registry.registerSwarm(registration(count++));
  const put = () => {
    const { name, ...value } = registration(count++);
    return etcd.put(`swarms/${name}`, JSON.stringify(value));
  };
  await measure(IN_FLIGHT, 2 * SWARMS, register);
  await measure(IN_FLIGHT, SWARMS, put);
  const rates = await inTurns(7, {
    etcd: () => measure(IN_FLIGHT, 3000, put),
    registry: () => measure(IN_FLIGHT, 20_000, register),
  });
  const ratio = rates.ratio('registry', 'etcd', 'perSecond');
  return [
    {
      what: `registrations over the bus, ${IN_FLIGHT} in flight, each write synced (${stage.nats.syncs})`,
      floor: `etcd ${etcd.version} lease put ${perSecond(rates.median('etcd', 'perSecond'))}`,
      measured: `${perSecond(rates.median('registry', 'perSecond'))} (p50 ${ms(rates.median('registry', 'p50Ms'))})`,
      ratio: times(ratio),
      target: 'at least 8x',
      ok: ratio >= 8,
    },
  ];
}
