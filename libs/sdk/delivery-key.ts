import type { KeyObject } from 'node:crypto';
import type { Msg } from '@nats-io/nats-core';
import { headerBytes } from '../bus/message.ts';
import { decodeHeaders } from '../protocol/envelope.ts';
import { isSigned, SIGNATURE, signingKeyOf } from '../protocol/signature.ts';

/** What the pool's leader signs assignments with, as the pool has answered last. Each leader has a key of its own. */
export class DeliveryKey {
  #text = '';
  #key: KeyObject | undefined;

  /** The pool has answered so; undefined = an older one, which signs nothing. */
  heard(publicKey: string | undefined): void {
    if (publicKey === undefined || publicKey === this.#text) return;
    this.#text = publicKey;
    this.#key = signingKeyOf(publicKey);
  }

  /** Is the message the leader's? `otherwise` = it is not signed with this key: it is another leader's, or anybody's. */
  judge(message: Msg): 'proven' | 'unsigned' | 'otherwise' {
    const signature = decodeHeaders(headerBytes(message)).get(SIGNATURE) ?? '';
    if (signature === '') return 'unsigned';
    const isProven = this.#key !== undefined && isSigned(this.#key, message.subject, message.data, signature);
    return isProven ? 'proven' : 'otherwise';
  }
}
