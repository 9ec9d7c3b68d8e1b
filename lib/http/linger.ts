// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * An answer to a client that is still sending. A socket that is closed with
 * bytes unread is reset, and the reset can overtake the answer; so what still
 * comes is read and thrown away for a while (RFC 9112 section 9.6).
 */

import type { ServerResponse } from 'node:http';
import type { Clock } from '#lib/clock.js';
import type { Written } from './reply.js';

/** How long the rest of a request may take to come. */
export const LINGER_MS = 5000;

/** Whether this answer closes a connection on which its request still comes. */
export function mustLinger(res: ServerResponse): boolean {
  return res.getHeader('Connection') === 'close' && !res.req.complete;
}

/**
 * Sends the whole answer at once, and lets go of the connection when the
 * request has come or `LINGER_MS` are over.
 *
 * @param res with its headers set, of which one is the body's length
 */
export function answerAndLinger(
  res: ServerResponse,
  { status, body }: Written,
  clock: Clock,
): void {
  res.statusCode = status;
  res.write(body);
  const done = () => {
    over.cancel();
    res.end();
  };
  const over = clock.after(LINGER_MS, done);
  res.req.once('end', done);
  res.once('close', () => over.cancel());
  res.req.resume();
}
