// Throw-away certificates, made by the openssl command.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';

export class Authority {
  constructor(folder, name = 'Test CA') {
    this.folder = folder;
    this.file = path.join(folder, `${name.replace(/\W/g, '-')}.pem`);
    this.keyFile = `${this.file}.key`;
    this.run('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2',
      '-subj', `/CN=${name}`, '-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign',
      '-keyout', this.keyFile, '-out', this.file);
  }

  run(...args) {
    execFileSync('openssl', args, { cwd: this.folder, stdio: ['ignore', 'ignore', 'pipe'] });
  }

  /** A server's certificate for names such as "DNS:localhost,IP:127.0.0.1": { cert, key } as files. */
  issue(name, subjects, { days = 2 } = {}) {
    const base = path.join(this.folder, name);
    const files = { cert: `${base}.crt`, key: `${base}.key` };
    writeFileSync(`${base}.ext`, `subjectAltName=${subjects}\nextendedKeyUsage=serverAuth\n`);
    this.run('req', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', `/CN=${name}`,
      '-keyout', files.key, '-out', `${base}.csr`);
    this.run('x509', '-req', '-in', `${base}.csr`, '-CA', this.file, '-CAkey', this.keyFile, '-CAcreateserial',
      '-days', String(days), '-extfile', `${base}.ext`, '-out', files.cert);
    return files;
  }
}

/** What Node's TLS server wants. */
export function tlsOptions({ cert, key }) {
  return { cert: readFileSync(cert), key: readFileSync(key) };
}
