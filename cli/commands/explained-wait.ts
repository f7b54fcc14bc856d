import { counted } from '../../libs/kernel/counted.ts';
import type { ExplainResponse, Placement } from '../../libs/wire/hivebus/pool/v1/pool.ts';
import { shellWord } from '../values.ts';

/** What goes before something that waits, and how much of that it competes with; empty = nothing does. */
export function aheadText({ ahead, rivals }: Placement, what: 'task' | 'request'): string {
  if (ahead === 0) return '';
  const all = `${counted(ahead, what)} for agents of this type before it`;
  if (rivals === undefined) return all;
  if (rivals === 0) return `${all}, but ${ahead === 1 ? 'not' : 'none'} for one that it could have`;
  if (rivals === ahead) return `${all}, which could take one that it could have, too`;
  return `${all}; ${rivals} of them could take one that it could have, too`;
}

/** Whose yes something waits for, and the call that says it; undefined = it waits for none. */
export function yesFor({ task, group }: ExplainResponse): { text: string; call: string } | undefined {
  const { approval } = task?.spec?.ties ?? {};
  if (task?.state === 'TASK_STATE_BLOCKED' && approval && !task.verdict) {
    const who = approval.operatorOnly ? 'an operator' : `swarm ${task.spec?.swarm} or an operator`;
    return { text: `${who} says yes`, call: `hivebus task approve ${shellWord(task.id)}` };
  }
  const gate = group?.endedAt ? undefined : group?.gates.find(({ state }) => state === 'GATE_STATE_WAITING');
  if (!group || !gate) return undefined;
  const after = gate.phase === '' ? '' : ` after phase ${gate.phase}`;
  return {
    text: `a yes lets it go on${after}`,
    call: `hivebus group approve ${shellWord(group.id)}`,
  };
}
