// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Writing a Reply: JSON or text, its length and digest, and the manners of
 * HEAD, 204 and 304.
 */

import { createHash } from 'node:crypto';
import type { Reply } from './types.js';

export interface Written {
  status: number;
  headers: Record<string, string>;
  /** Empty for replies without a body. */
  body: string;
}

/**
 * @param reply what a handler returned
 * @param contentMd5 whether to add Content-MD5. Characters outside ASCII are
 *   then escaped in JSON: some clients take the digest of UTF-16 code units
 *   (facts: cloudapi 0.7)
 * @returns status, headers and body as they go on the wire
 */
export function render(reply: Reply, contentMd5: boolean): Written {
  const headers: Record<string, string> = {};
  let body = '';
  if (reply.text !== undefined) {
    headers['Content-Type'] = reply.text.type;
    body = reply.text.content;
  } else if (reply.body !== undefined) {
    headers['Content-Type'] = 'application/json';
    body = JSON.stringify(reply.body);
    if (contentMd5) body = escapeNonAscii(body);
  }
  if (reply.status === 204 || reply.status === 304) {
    return { status: reply.status, headers: { ...reply.headers }, body: '' };
  }
  if (reply.stream !== undefined) {
    return { status: reply.status, headers: { ...reply.headers }, body: '' };
  }
  headers['Content-Length'] = String(Buffer.byteLength(body));
  if (contentMd5) {
    headers['Content-MD5'] = createHash('md5').update(body).digest('base64');
  }
  return {
    status: reply.status,
    headers: { ...headers, ...reply.headers },
    body,
  };
}

function escapeNonAscii(json: string): string {
  return json.replace(
    /[\u0080-\uffff]/g,
    (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
