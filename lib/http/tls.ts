// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * TLS as configuration files name it: PEM files of a certificate, its key, and
 * the authorities that the other side's certificate must come from. A server
 * with authorities takes only clients that have such a certificate. Files that
 * are replaced are taken for new connections, without a restart.
 */

import { X509Certificate } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { createSecureContext } from 'node:tls';
import { UsageError } from '#lib/errors.js';
import type { Logger } from '#lib/service/log.js';

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
function readTls(where: string, files: TlsFiles): Tls {
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

/** TLS files as they are now. */
export class TlsSource {
  readonly #where: string;
  readonly #files: TlsFiles;
  readonly #log: Logger;
  #stamp: string;
  #tls: Tls;

  /** @throws UsageError naming the place and the file */
  constructor(where: string, files: TlsFiles, log: Logger) {
    this.#where = where;
    this.#files = files;
    this.#log = log;
    this.#stamp = stampOf(files);
    this.#tls = readTls(where, files);
  }

  /**
   * What the files hold, the same object until one of them is replaced. Where
   * they do not fit together, such as a certificate whose key is yet to come,
   * what was there before is kept until they do.
   */
  current(): Tls {
    const stamp = stampOf(this.#files);
    if (stamp === this.#stamp) return this.#tls;
    this.#stamp = stamp;
    const where = this.#where;
    try {
      this.#tls = readTls(where, this.#files);
      this.#log.info({ where }, 'TLS files were replaced');
    } catch (err) {
      this.#log.warn({ err, where }, 'TLS files are not taken');
    }
    return this.#tls;
  }
}

/** Differs when a file was written, replaced, or is gone. */
function stampOf({ cert, key, ca }: TlsFiles): string {
  return [cert, key, ca]
    .map((file) => {
      const found = file && statSync(file, { throwIfNoEntry: false });
      return found ? `${found.ino} ${found.mtimeMs} ${found.size}` : '-';
    })
    .join();
}
