// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * One TCP connection of an SVP client: connects, matches answers to requests
 * by id, and reports its end once. Reconnecting is the client's business.
 */

import { connect, type Socket } from 'node:net';
import { decodeMessage, encodeMessage } from './codec.js';
import { createFramer } from './framer.js';
import { type SvpMessage, SvpProtocolError } from './messages.js';

export interface Connection {
  /** Sends a request; the answer comes to `onAnswer` with the same id. */
  send(id: number, message: SvpMessage): void;
  /** Ends it; `onEnd` is called. */
  destroy(reason: string): void;
}

export interface ConnectionEvents {
  onOpen(): void;
  onAnswer(id: number, message: SvpMessage): void;
  /** Called exactly once, whatever ended it. */
  onEnd(reason: string): void;
}

/**
 * Starts connecting.
 * @param at host name or address, and TCP port
 * @param events called never before this function has returned
 */
export function openConnection(
  at: { host: string; port: number },
  events: ConnectionEvents,
): Connection {
  const socket: Socket = connect({ host: at.host, port: at.port });
  const framer = createFramer();
  let ended = false;

  function end(reason: string): void {
    if (ended) return;
    ended = true;
    socket.destroy();
    events.onEnd(reason);
  }

  function onData(chunk: Buffer): void {
    try {
      for (const frame of framer.push(chunk)) {
        if (ended) return;
        events.onAnswer(frame.id, decodeMessage(frame));
      }
    } catch (error) {
      if (!(error instanceof SvpProtocolError)) throw error;
      end(`${error.code}: ${error.message}`);
    }
  }

  socket.setNoDelay(true);
  socket.setKeepAlive(true, 10_000);
  socket.on('connect', () => events.onOpen());
  socket.on('data', onData);
  socket.on('error', (error) => end(error.message));
  socket.on('close', () => end('closed by the server'));
  return {
    send(id, message) {
      if (!ended) socket.write(encodeMessage(id, message));
    },
    destroy: end,
  };
}
