import { hostname } from 'node:os';

/** `<host>:<process id>`: names this process among those of its service. */
export const instanceOfProcess = (): string => `${hostname()}:${process.pid}`;
