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

/** What lets something go on that is held back, and the calls that bring it about. */
export const holdsFor = ({ holds, task, group }: ExplainResponse): { text: string; calls: string[] }[] =>
  holds.map(({ kind, text }) => {
    const call = CALLS[kind]?.(task?.id ?? '', group?.id ?? task?.spec?.ties?.group ?? '');
    return { text, calls: call ? [call] : [] };
  });

const CALLS: Readonly<Partial<Record<string, (task: string, group: string) => string>>> = {
  approve: (task) => `hivebus task approve ${shellWord(task)}`,
  gate: (_, group) => `hivebus group approve ${shellWord(group)}`,
  'resume-group': (_, group) => `hivebus group resume ${shellWord(group)}`,
};
