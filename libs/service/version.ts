/** Told by `--version` and `nats micro ls`; the one in package.json. */
export const VERSION = '0.1.0';
