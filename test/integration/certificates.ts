import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Files of a certificate and its key, PEM. */
export interface Certificate {
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority of a test's own, made by openssl, which Node lacks. */
export class Authority {
  readonly caFile: string;
  readonly #keyFile: string;
  readonly #dir: string;

  constructor(dir: string, name: string) {
    this.#dir = dir;
    this.caFile = join(dir, `${name}.pem`);
    this.#keyFile = join(dir, `${name}.key`);
    openssl(['req', '-x509', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', this.#keyFile, '-out', this.caFile]);
  }

  /** For 127.0.0.1 and localhost; with `days` -1 it is over already. */
  issue(name: string, days = 2): Certificate {
    const [certFile, keyFile] = [join(this.#dir, `${name}.pem`), join(this.#dir, `${name}.key`)];
    const [request, extensions] = [join(this.#dir, `${name}.csr`), join(this.#dir, `${name}.ext`)];
    writeFileSync(extensions, 'subjectAltName=IP:127.0.0.1,DNS:localhost\n');
    openssl(['req', ...NEW_KEY, '-subj', `/CN=${name}`, '-keyout', keyFile, '-out', request]);
    const signer = ['-CA', this.caFile, '-CAkey', this.#keyFile, '-CAcreateserial'];
    openssl(['x509', '-req', '-in', request, ...signer, '-days', `${days}`, '-extfile', extensions, '-out', certFile]);
    return { certFile, keyFile };
  }
}

const NEW_KEY = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];

const openssl = (args: readonly string[]): void => void execFileSync('openssl', args, { stdio: 'pipe' });

/** Why tests that need certificates are skipped; undefined where openssl is. */
export function noOpenssl(): string | undefined {
  try {
    openssl(['version']);
    return undefined;
  } catch {
    return 'there is no openssl here';
  }
}
