// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * TLS as configuration files name it: PEM files of a certificate, its key, and
 * the authorities that the other side's certificate must come from. A server
 * with authorities takes only clients that have such a certificate.
 */

import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { UsageError } from '#lib/errors.js';

/** Paths of PEM files. */
export interface TlsFiles {
  cert?: string;
  key?: string;
  ca?: string;
}

/** Their content. */
export interface Tls {
  cert?: Buffer;
  key?: Buffer;
  ca?: Buffer;
}

const path = { type: 'string', minLength: 1 };
const properties = { cert: path, key: path, ca: path };

/** JSON schema of a server's `tls`. */
export const SERVER_TLS_SCHEMA = {
  type: 'object',
  required: ['cert', 'key'],
  properties,
};

/** JSON schema of a client's `tls`: a certificate is needed only if asked for. */
export const CLIENT_TLS_SCHEMA = {
  type: 'object',
  properties,
  dependencies: { cert: ['key'], key: ['cert'] },
};

function read(where: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UsageError(`${where}: ${file}: ${code ?? message}`);
  }
}

/**
 * Reads the files, and makes sure that they are what they should be.
 * @param where the place in the configuration, for errors
 * @throws UsageError naming the place and the file
 */
export function readTls(where: string, files: TlsFiles): Tls {
  const tls: Tls = {};
  for (const name of ['cert', 'key', 'ca'] as const) {
    const file = files[name];
    if (file !== undefined) tls[name] = read(`${where}/${name}`, file);
  }
  for (const name of ['cert', 'ca'] as const) {
    const pem = tls[name];
    if (pem === undefined) continue;
    try {
      new X509Certificate(pem);
    } catch {
      throw new UsageError(
        `${where}/${name}: ${files[name]}: is not a certificate in PEM`,
      );
    }
  }
  try {
    createSecureContext({ ...tls });
  } catch (error) {
    throw new UsageError(
      `${where}/key: ${files.key}: ${(error as Error).message}`,
    );
  }
  return tls;
}
