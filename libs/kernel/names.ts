/** Names of federations, swarms, agents, types, skills and tags: valid NATS tokens and Kubernetes names. */
const NAME_PATTERN = /^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/;
export const NAME_RULE = 'must match [a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?';

export const isName = (text: unknown): text is string => typeof text === 'string' && NAME_PATTERN.test(text);
