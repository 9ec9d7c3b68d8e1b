// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Big Theory: the SVP client of our own daemons, in varpd's manner.
 *
 * Purpose: ask an SVP server where an overlay MAC or IP is, and fetch and
 * remove shootdowns (facts: svp-portolan-vxlnat 1.6 to 1.8).
 *
 * Interface: `vl2`, `vl3`, `logRequest`, `logRemove`, `ping`, each a promise.
 * "Not found" is null, not an error. `SvpUnavailableError` means that nobody
 * answered in time or that the server said FATAL: the caller knows no more
 * than before and must not act on it (varpd drops the packet and asks again
 * when the next one comes).
 *
 * How: one connection, requests pipelined and matched by id. While there is
 * none, requests wait, bounded in number and time. When it breaks, unanswered
 * requests wait for the next one: all of them may be asked twice. A request
 * that is not answered in time takes the connection down, since an answer that
 * comes late can no longer be told from one that never comes.
 *
 * Reconnect: the first retry at once, then varpd's table 1, 2, 4, 8, 16, 32 s,
 * the last value repeated; an answer starts the table anew.
 */

import type { Ipv4 } from '#lib/net/ipv4.js';
import type { Mac } from '#lib/net/mac.js';
import {
  createChannel,
  type SvpClientOptions,
  SvpUnavailableError,
} from './channel.js';
import {
  LOG_REQUEST_BYTES,
  type LogRecord,
  SvpL3Type,
  type SvpMessage,
  SvpStatus,
  type Vl2Answer,
  type Vl3Answer,
} from './messages.js';

export { type SvpClientOptions, SvpUnavailableError } from './channel.js';

export interface SvpClient {
  /** Where a MAC is. */
  vl2(vnet: number, mac: Mac): Promise<Vl2Answer>;
  /** Which MAC has an IP, and where it is. */
  vl3(vnet: number, ip: Ipv4): Promise<Vl3Answer>;
  /**
   * Shootdowns for the node with this underlay IP; null when there is none.
   * @param maxBytes longest answer to accept, 1024 as varpd unless told
   */
  logRequest(ip: Ipv4, maxBytes?: number): Promise<LogRecord[] | null>;
  /** Removes shootdowns that were acted on. */
  logRemove(ids: string[]): Promise<void>;
  ping(): Promise<void>;
  connected(): boolean;
  /** Ends the connection; everything waiting is refused. */
  close(): void;
}

/**
 * Makes a client; it starts connecting at once and never gives up.
 * @param options server, clock, log and limits
 */
export function createSvpClient(options: SvpClientOptions): SvpClient {
  const channel = createChannel(options);

  /** Sends a request and insists on the answer that belongs to it. */
  async function ask<Op extends SvpMessage['op']>(
    message: SvpMessage,
    op: Op,
  ): Promise<Extract<SvpMessage, { op: Op }>> {
    const answer = await channel.request(message);
    if (answer.op === op) return answer as Extract<SvpMessage, { op: Op }>;
    throw new SvpUnavailableError(`SVP answered ${answer.op} for ${op}`);
  }

  function found(status: number): boolean {
    if (status === SvpStatus.ok) return true;
    if (status === SvpStatus.not_found) return false;
    throw new SvpUnavailableError(`SVP status ${status}`);
  }

  return {
    async vl2(vnet, mac) {
      const a = await ask({ op: 'vl2_req', mac, vnet }, 'vl2_ack');
      if (!found(a.status) || a.ip === null) return null;
      return { ip: a.ip, port: a.port };
    },
    async vl3(vnet, ip) {
      const l3type = SvpL3Type.ipv4;
      const a = await ask({ op: 'vl3_req', ip, l3type, vnet }, 'vl3_ack');
      if (!found(a.status) || a.ip === null) return null;
      return { mac: a.mac, ip: a.ip, port: a.port };
    },
    async logRequest(ip, maxBytes = LOG_REQUEST_BYTES) {
      const a = await ask({ op: 'log_req', count: maxBytes, ip }, 'log_ack');
      return found(a.status) ? a.records : null;
    },
    async logRemove(ids) {
      const a = await ask({ op: 'log_rm', ids }, 'log_rm_ack');
      found(a.status);
    },
    async ping() {
      await ask({ op: 'ping' }, 'pong');
    },
    connected: () => channel.connected(),
    close: () => channel.close(),
  };
}
