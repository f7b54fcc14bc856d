import type { Msg } from '@nats-io/nats-core';
import { HiveError } from '../kernel/errors.ts';
import { unpacked } from '../protocol/parcel.ts';
import { responseSchema } from '../rpc/schema.ts';
import type { Assignment } from '../wire/hivebus/pool/v1/pool.ts';

const ASSIGNMENT = responseSchema('hivebus.pool.v1.Assignment');

/** The assignments of a message, in their order; undefined in place of one that cannot be read, which is told. */
export function readAssignments(message: Msg, tell: (text: string) => void): readonly (Assignment | undefined)[] {
  try {
    return unpacked(message.data).map((json) => checked(json, tell));
  } catch (error) {
    tell(`an assignment that cannot be read: ${HiveError.from(error).message}`);
    return [];
  }
}

function checked(json: unknown, tell: (text: string) => void): Assignment | undefined {
  try {
    const assignment = ASSIGNMENT.check(json) as Assignment;
    if (assignment.spec || assignment.cancel) return assignment;
    tell(`an assignment of task ${assignment.task} that says not what to do`);
  } catch (error) {
    tell(`an assignment that cannot be read: ${HiveError.from(error).message}`);
  }
  return undefined;
}
