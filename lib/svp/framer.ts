// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Splits a TCP byte stream into SVP frames. Bounded: it never holds more than
 * one header, one body of the largest allowed size, and the chunk at hand.
 * Nothing after a malformed header can be trusted, so an error is final.
 */

import { crc32 } from 'node:zlib';
import {
  SVP_HEADER_BYTES,
  SVP_MAX_BODY,
  type SvpFrame,
  SvpProtocolError,
} from './messages.js';

export interface Framer {
  /**
   * Takes the next bytes of the stream.
   * @returns the frames that they complete, oldest first
   * @throws SvpProtocolError bad_version, bad_size or bad_crc; frames of the
   *   same call that were whole before it are lost with the connection
   */
  push(chunk: Buffer): SvpFrame[];
  /** Bytes held for a frame that is not whole yet. */
  pending(): number;
}

function checkHeader(header: Buffer, maxBody: number): number {
  const version = header.readUInt16BE(0);
  if (version === 0) {
    throw new SvpProtocolError('bad_version', 'version 0');
  }
  const size = header.readUInt32BE(4);
  if (size > maxBody) {
    throw new SvpProtocolError('bad_size', `a body of ${size} bytes`);
  }
  return SVP_HEADER_BYTES + size;
}

function readFrame(bytes: Buffer): SvpFrame {
  const header = Buffer.from(bytes.subarray(0, SVP_HEADER_BYTES));
  const sent = header.readUInt32BE(12);
  header.writeUInt32BE(0, 12);
  const body = bytes.subarray(SVP_HEADER_BYTES);
  if (crc32(body, crc32(header)) !== sent) {
    throw new SvpProtocolError('bad_crc', 'CRC does not match');
  }
  return {
    version: header.readUInt16BE(0),
    op: header.readUInt16BE(2),
    id: header.readUInt32BE(8),
    body,
  };
}

/**
 * Makes a framer for one connection.
 * @param maxBody the longest body to accept, in bytes
 */
export function createFramer(maxBody = SVP_MAX_BODY): Framer {
  let chunks: Buffer[] = [];
  let held = 0;
  /** Bytes that must be there before another look is worth it. */
  let need = SVP_HEADER_BYTES;

  function push(chunk: Buffer): SvpFrame[] {
    chunks.push(chunk);
    held += chunk.length;
    const frames: SvpFrame[] = [];
    if (held < need) return frames;
    let bytes = chunks.length === 1 ? chunk : Buffer.concat(chunks);
    for (;;) {
      need = SVP_HEADER_BYTES;
      if (bytes.length < need) break;
      need = checkHeader(bytes, maxBody);
      if (bytes.length < need) break;
      frames.push(readFrame(bytes.subarray(0, need)));
      bytes = bytes.subarray(need);
    }
    chunks = bytes.length === 0 ? [] : [bytes];
    held = bytes.length;
    return frames;
  }

  return { push, pending: () => held };
}
