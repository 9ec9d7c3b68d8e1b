// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/** HTTP as bytes: what a hostile client writes, and what comes back. */

import { connect } from 'node:net';

export interface RawAnswer {
  /** 0 when the connection was ended without an answer. */
  status: number;
  /** Lower-case names. */
  headers: Record<string, string>;
  body: string;
}

/** A server that says nothing for so long has lost the request. */
const PATIENCE_MS = 20_000;

function parsed(bytes: Buffer): RawAnswer {
  const all = bytes.toString('latin1');
  const interim = /^(HTTP\/1\.1 1\d\d [\s\S]*?\r\n\r\n)*/.exec(all)?.[0] ?? '';
  const text = all.slice(interim.length);
  const end = text.indexOf('\r\n\r\n');
  const [first = '', ...lines] = text.slice(0, Math.max(end, 0)).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => {
      const colon = line.indexOf(':');
      return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
    }),
  );
  const status = Number(/^HTTP\/1\.1 (\d{3})/.exec(first)?.[1] ?? 0);
  const body = Buffer.from(text.slice(end + 4), 'latin1').toString('utf8');
  return { status, headers, body: end < 0 ? '' : body };
}

/** Whether nothing more will come that is wanted: streams never end. */
function isWhole(answer: RawAnswer, isHead: boolean): boolean {
  if (answer.status === 0) return false;
  const { headers } = answer;
  const length = headers['content-length'];
  if (isHead || answer.status === 204 || answer.status === 304) return true;
  if (headers['transfer-encoding'] === 'chunked') return true;
  if (length === undefined) return headers['connection'] !== 'close';
  return Buffer.byteLength(answer.body) >= Number(length);
}

/**
 * Sends bytes on a connection of their own.
 * @param half ends our side after them, as a client that is cut off
 * @throws Error when the server neither answers nor ends the connection
 */
export function exchange(
  port: number,
  bytes: string | Buffer,
  half = false,
): Promise<RawAnswer> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true });
    const isHead = bytes.slice(0, 5).toString() === 'HEAD ';
    const chunks: Buffer[] = [];
    const done = () => {
      clearTimeout(timer);
      socket.destroy();
      resolve(parsed(Buffer.concat(chunks)));
    };
    const timer = setTimeout(() => {
      socket.destroy();
      const start = bytes.toString().slice(0, 200);
      reject(new Error(`no answer to ${JSON.stringify(start)}`));
    }, PATIENCE_MS);
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      if (isWhole(parsed(Buffer.concat(chunks)), isHead)) done();
    });
    // A server that closes while we still write resets the connection.
    socket.once('error', done);
    socket.once('end', done);
    socket.once('close', done);
    socket.write(bytes);
    if (half) socket.end();
  });
}
