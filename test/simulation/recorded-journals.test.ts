import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import type { Entry } from '../../libs/journal/ports.ts';
import { Replica } from '../../libs/journal/replica.ts';
import type { Machine, Shape } from '../../libs/protocol/machine.ts';
import { registryMachine } from '../../services/registry/core/machine.ts';
import { createPoolMachine } from '../../services/resource-pool/core/machine.ts';
import { DEFAULT_SETTINGS } from '../../services/resource-pool/core/settings.ts';

/** Events are for ever: what a released version wrote leads to the same state today. Made by tools/record-journals.mjs. */

const FOLDER = new URL('recorded/', import.meta.url);

function replay<M extends Shape>(machine: Machine<M>, lines: readonly string[]): unknown {
  const replica = new Replica(machine);
  for (const line of lines) {
    const { seq, envelope, body } = JSON.parse(line) as Omit<Entry, 'body'> & { body: string };
    replica.take({ seq, envelope, body: Buffer.from(body) });
  }
  const tables = Object.entries(replica.tables()).map(([name, table]) => [name, [...table.entries()]]);
  return JSON.parse(JSON.stringify(Object.fromEntries(tables)));
}

test.each(readdirSync(FOLDER))('%s leads to the state that it led to', (file) => {
  const [head = '', ...lines] = readFileSync(new URL(file, FOLDER), 'utf8').trimEnd().split('\n');
  const { tables } = JSON.parse(head) as { tables: object };
  const isPool = file.endsWith('-pool.jsonl');
  const state = isPool ? replay(createPoolMachine(DEFAULT_SETTINGS), lines) : replay(registryMachine('main'), lines);
  expect(lines.length).toBeGreaterThan(3);
  expect(state).toMatchObject(tables);
});
