// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * SVP, the SmartOS VXLAN Protocol, version 1: its words as typed values
 * (facts: svp-portolan-vxlnat 1.2, 1.3). Pure: no I/O.
 */

import type { Ipv4 } from '#lib/net/ipv4.js';
import type { Mac } from '#lib/net/mac.js';

/** The version that every production client and server speaks. */
export const SVP_VERSION = 1;
/** The server's TCP port. */
export const SVP_PORT = 1296;
/** Bytes of the header before each body. */
export const SVP_HEADER_BYTES = 16;
/** Longest body we accept or send. */
export const SVP_MAX_BODY = 64 * 1024;

/** Opcodes (1.2). Bulk, shootdown and route are not spoken by anyone. */
export const SvpOp = {
  ping: 1,
  pong: 2,
  vl2_req: 3,
  vl2_ack: 4,
  vl3_req: 5,
  vl3_ack: 6,
  bulk_req: 7,
  bulk_ack: 8,
  log_req: 9,
  log_ack: 10,
  log_rm: 11,
  log_rm_ack: 12,
} as const;

/** Status codes (1.2). */
export const SvpStatus = {
  ok: 0,
  fatal: 1,
  not_found: 2,
  bad_l3_type: 3,
  bad_bulk: 4,
} as const;
export type SvpStatus = (typeof SvpStatus)[keyof typeof SvpStatus];

/** Address type of a VL3 request: informative only (gotcha G1). */
export const SvpL3Type = { ipv4: 1, ipv6: 2 } as const;

/** An underlay endpoint. */
export interface Ul3 {
  ip: Ipv4;
  /** UDP port, 4789 for nearly everyone. */
  port: number;
}

/** What a VL2 look-up finds; null is "not found". */
export type Vl2Answer = Ul3 | null;
/** What a VL3 look-up finds; null is "not found". */
export type Vl3Answer = (Ul3 & { mac: Mac }) | null;

/** "Forget where this MAC is." */
export interface Vl2Record {
  type: 'vl2';
  /** UUID text: the key to remove it by. */
  id: string;
  mac: Mac;
  vnet: number;
}

/** "Ask again who has this IP, and tell your instances." */
export interface Vl3Record {
  type: 'vl3';
  id: string;
  ip: Ipv4;
  vlan: number;
  vnet: number;
}

/** One shootdown, kept by the server until the node removes it. */
export type LogRecord = Vl2Record | Vl3Record;

/** Bytes of each record in a LOG_ACK. */
export const LOG_RECORD_BYTES = { vl2: 32, vl3: 44 } as const;
/** What varpd asks for, and the size of its buffer (1.8, G3). */
export const LOG_REQUEST_BYTES = 1024;
/** Status word before the records; counted here, unlike portolan (G3). */
export const LOG_ACK_HEAD_BYTES = 4;

/** A decoded message. Addresses that are not IPv4 read as null. */
export type SvpMessage =
  | { op: 'ping' }
  | { op: 'pong' }
  | { op: 'vl2_req'; mac: Mac; vnet: number }
  | { op: 'vl2_ack'; status: number; ip: Ipv4 | null; port: number }
  | { op: 'vl3_req'; ip: Ipv4 | null; l3type: number; vnet: number }
  | {
      op: 'vl3_ack';
      status: number;
      mac: Mac;
      ip: Ipv4 | null;
      port: number;
    }
  | { op: 'bulk_req'; type: number }
  | { op: 'bulk_ack'; status: number; type: number }
  | { op: 'log_req'; count: number; ip: Ipv4 | null }
  | { op: 'log_ack'; status: number; records: LogRecord[] }
  | { op: 'log_rm'; ids: string[] }
  | { op: 'log_rm_ack'; status: number };

export type SvpOpName = SvpMessage['op'];

/** One message as it was framed: header fields and body. */
export interface SvpFrame {
  version: number;
  op: number;
  /** Echoed as the same four bytes by a server. */
  id: number;
  body: Buffer;
}

export type SvpProblem =
  | 'bad_version'
  | 'bad_op'
  | 'bad_size'
  | 'bad_crc'
  | 'bad_body';

/** Bytes that are not SVP; the connection they came on must be closed. */
export class SvpProtocolError extends Error {
  readonly code: SvpProblem;
  constructor(code: SvpProblem, message: string) {
    super(message);
    this.name = 'SvpProtocolError';
    this.code = code;
  }
}
