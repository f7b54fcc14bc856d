import type { Command } from 'commander';
import type { AgentSelector } from '../libs/wire/hivebus/pool/v1/pool.ts';
import { keyValue, list, shellWord } from './values.ts';

/** The options that say which agent is wanted, beyond its type and capabilities. */
export interface SelectorOptions {
  agentLabel?: Record<string, string>;
  specialisation?: string[];
  region?: string;
}

export const withSelector = (command: Command): Command =>
  command
    .option('--agent-label <key=value>', 'a label that the agent must have; may be repeated', keyValue)
    .option('--specialisation <name>', 'what the agent should be best at; may be repeated', list)
    .option('--region <name>', 'where the agent should be, if that can be had');

/** Undefined when nothing is asked for; what options say goes before `given`. */
export function selectorOf(options: SelectorOptions, given?: AgentSelector): AgentSelector | undefined {
  const selector: AgentSelector = {
    labels: { ...given?.labels, ...options.agentLabel },
    specialisations: options.specialisation ?? given?.specialisations ?? [],
    region: options.region ?? given?.region ?? '',
  };
  const { labels, specialisations, region } = selector;
  return Object.keys(labels).length > 0 || specialisations.length > 0 || region !== '' ? selector : undefined;
}

/** The same as options of a call, each value as a shell takes it. */
export function selectorOptions(selector: AgentSelector | undefined): string[] {
  if (!selector) return [];
  const { labels, specialisations, region } = selector;
  return [
    ...Object.entries(labels).map(([key, value]) => `--agent-label ${shellWord(`${key}=${value}`)}`),
    ...specialisations.map((name) => `--specialisation ${shellWord(name)}`),
    ...(region === '' ? [] : [`--region ${shellWord(region)}`]),
  ];
}

/** `gpu=yes, best at sql, in eu-west`; empty when nothing is asked for. */
export function selectorText(selector: AgentSelector | undefined): string {
  if (!selector) return '';
  const { labels, specialisations, region } = selector;
  return [
    ...Object.entries(labels).map(([key, value]) => `${key}=${value}`),
    ...(specialisations.length > 0 ? [`best at ${specialisations.join(' ')}`] : []),
    ...(region === '' ? [] : [`in ${region}`]),
  ].join(', ');
}
