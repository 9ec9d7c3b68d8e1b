// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * SVP version 1 on the wire, byte for byte (facts: svp-portolan-vxlnat 1.1,
 * 1.3, test vectors 1.9). Offsets only; deciding is done elsewhere. All
 * integers are big-endian and every IPv4 address is v4-mapped.
 */

import { crc32 } from 'node:zlib';
import { type Ipv4, ipv4 } from '#lib/net/ipv4.js';
import { type Mac, mac } from '#lib/net/mac.js';
import {
  LOG_ACK_HEAD_BYTES,
  LOG_RECORD_BYTES,
  type LogRecord,
  SVP_HEADER_BYTES,
  SVP_VERSION,
  type SvpFrame,
  type SvpMessage,
  SvpOp,
  type SvpOpName,
  SvpProtocolError,
} from './messages.js';

const MAPPED = Buffer.from('00000000000000000000ffff', 'hex');
const UUID_BYTES = 16;
const LOG_VL2 = 1;
const LOG_VL3 = 2;

/** Body sizes that are exact; the others carry a list. */
const EXACT_BYTES: Partial<Record<SvpOpName, number>> = {
  ping: 0,
  pong: 0,
  vl2_req: 12,
  vl2_ack: 20,
  vl3_req: 24,
  vl3_ack: 28,
  bulk_req: 4,
  log_req: 20,
  log_rm_ack: 4,
};

const OP_NAMES = new Map<number, SvpOpName>(
  Object.entries(SvpOp).map(([name, op]) => [op, name as SvpOpName]),
);

/** The name of an opcode; undefined for those that nobody speaks. */
export function opName(op: number): SvpOpName | undefined {
  return OP_NAMES.get(op);
}

function putIp(body: Buffer, offset: number, ip: Ipv4 | null): void {
  if (ip === null) return;
  MAPPED.copy(body, offset);
  body.writeUInt32BE(ip, offset + 12);
}

function getIp(body: Buffer, offset: number): Ipv4 | null {
  const head = body.subarray(offset, offset + 12);
  return head.equals(MAPPED) ? ipv4(body.readUInt32BE(offset + 12)) : null;
}

function putUuid(body: Buffer, offset: number, uuid: string): void {
  const hex = uuid.replaceAll('-', '');
  if (!/^[0-9a-f]{32}$/i.test(hex)) {
    throw new SvpProtocolError('bad_body', `"${uuid}" is not a UUID`);
  }
  body.write(hex, offset, 'hex');
}

function getUuid(body: Buffer, offset: number): string {
  const hex = body.toString('hex', offset, offset + UUID_BYTES);
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}

function putMac(body: Buffer, offset: number, value: Mac): void {
  body.writeUIntBE(value, offset, 6);
}

function getMac(body: Buffer, offset: number): Mac {
  return mac(body.readUIntBE(offset, 6));
}

/** Bytes that a list of records takes in a LOG_ACK, its status included. */
export function logAckBytes(records: readonly LogRecord[]): number {
  return records.reduce(
    (sum, record) => sum + LOG_RECORD_BYTES[record.type],
    LOG_ACK_HEAD_BYTES,
  );
}

function encodeLogAck(status: number, records: LogRecord[]): Buffer {
  const body = Buffer.alloc(logAckBytes(records));
  body.writeUInt32BE(status, 0);
  let at = LOG_ACK_HEAD_BYTES;
  for (const record of records) {
    putUuid(body, at + 4, record.id);
    if (record.type === 'vl2') {
      body.writeUInt32BE(LOG_VL2, at);
      putMac(body, at + 20, record.mac);
      body.writeUInt32BE(record.vnet, at + 28);
    } else {
      body.writeUInt32BE(LOG_VL3, at);
      putIp(body, at + 20, record.ip);
      body.writeUInt16BE(record.vlan, at + 38);
      body.writeUInt32BE(record.vnet, at + 40);
    }
    at += LOG_RECORD_BYTES[record.type];
  }
  return body;
}

function decodeLogRecord(body: Buffer, at: number): LogRecord {
  const type = body.length - at < 4 ? 0 : body.readUInt32BE(at);
  const left = body.length - at;
  if (type === LOG_VL2 && left >= LOG_RECORD_BYTES.vl2) {
    return {
      type: 'vl2',
      id: getUuid(body, at + 4),
      mac: getMac(body, at + 20),
      vnet: body.readUInt32BE(at + 28),
    };
  }
  const ip =
    type === LOG_VL3 && left >= LOG_RECORD_BYTES.vl3
      ? getIp(body, at + 20)
      : null;
  if (ip === null) {
    throw new SvpProtocolError('bad_body', `bad log record at byte ${at}`);
  }
  return {
    type: 'vl3',
    id: getUuid(body, at + 4),
    ip,
    vlan: body.readUInt16BE(at + 38),
    vnet: body.readUInt32BE(at + 40),
  };
}

function decodeLogAck(body: Buffer): SvpMessage {
  const records: LogRecord[] = [];
  let at = LOG_ACK_HEAD_BYTES;
  while (at < body.length) {
    const record = decodeLogRecord(body, at);
    records.push(record);
    at += LOG_RECORD_BYTES[record.type];
  }
  return { op: 'log_ack', status: body.readUInt32BE(0), records };
}

function encodeLogRm(ids: string[]): Buffer {
  const body = Buffer.alloc(4 + UUID_BYTES * ids.length);
  body.writeUInt32BE(ids.length, 0);
  ids.forEach((id, i) => {
    putUuid(body, 4 + UUID_BYTES * i, id);
  });
  return body;
}

function decodeLogRm(body: Buffer): SvpMessage {
  const count = body.readUInt32BE(0);
  if (body.length !== 4 + UUID_BYTES * count) {
    throw new SvpProtocolError(
      'bad_size',
      `LOG_RM of ${count} ids has a body of ${body.length} bytes`,
    );
  }
  const ids = Array.from({ length: count }, (_, i) =>
    getUuid(body, 4 + UUID_BYTES * i),
  );
  return { op: 'log_rm', ids };
}

/** The body of an answer to a look-up or a log message. */
function encodeAck(message: Extract<SvpMessage, { status: number }>): Buffer {
  if (message.op === 'log_ack') {
    return encodeLogAck(message.status, message.records);
  }
  const bytes = message.op === 'bulk_ack' ? 8 : EXACT_BYTES[message.op];
  const body = Buffer.alloc(bytes as number);
  if (message.op === 'vl2_ack') {
    // A 16-bit status, unlike every other answer (G2).
    body.writeUInt16BE(message.status, 0);
    body.writeUInt16BE(message.port, 2);
    putIp(body, 4, message.ip);
    return body;
  }
  body.writeUInt32BE(message.status, 0);
  if (message.op === 'bulk_ack') body.writeUInt32BE(message.type, 4);
  if (message.op === 'vl3_ack') {
    putMac(body, 4, message.mac);
    body.writeUInt16BE(message.port, 10);
    putIp(body, 12, message.ip);
  }
  return body;
}

function encodeBody(message: SvpMessage): Buffer {
  if ('status' in message) return encodeAck(message);
  if (message.op === 'log_rm') return encodeLogRm(message.ids);
  const body = Buffer.alloc(EXACT_BYTES[message.op] as number);
  switch (message.op) {
    case 'vl2_req':
      putMac(body, 0, message.mac);
      body.writeUInt32BE(message.vnet, 8);
      break;
    case 'vl3_req':
      putIp(body, 0, message.ip);
      body.writeUInt32BE(message.l3type, 16);
      body.writeUInt32BE(message.vnet, 20);
      break;
    case 'bulk_req':
      body.writeUInt32BE(message.type, 0);
      break;
    case 'log_req':
      body.writeUInt32BE(message.count, 0);
      putIp(body, 4, message.ip);
      break;
    default:
      break;
  }
  return body;
}

/**
 * Writes one message with its header and CRC.
 * @param id the request's id: 1 .. 2^31-1 from a client, echoed by a server
 * @param version of the header; a server answers with its own
 */
export function encodeMessage(
  id: number,
  message: SvpMessage,
  version = SVP_VERSION,
): Buffer {
  const body = encodeBody(message);
  const bytes = Buffer.concat([Buffer.alloc(SVP_HEADER_BYTES), body]);
  bytes.writeUInt16BE(version, 0);
  bytes.writeUInt16BE(SvpOp[message.op], 2);
  bytes.writeUInt32BE(body.length, 4);
  bytes.writeUInt32BE(id, 8);
  // Over the header with a zero CRC field, then the body (1.1).
  bytes.writeUInt32BE(crc32(bytes), 12);
  return bytes;
}

const DECODERS: Record<SvpOpName, (body: Buffer) => SvpMessage> = {
  ping: () => ({ op: 'ping' }),
  pong: () => ({ op: 'pong' }),
  vl2_req: (body) => ({
    op: 'vl2_req',
    mac: getMac(body, 0),
    vnet: body.readUInt32BE(8),
  }),
  vl2_ack: (body) => ({
    op: 'vl2_ack',
    status: body.readUInt16BE(0),
    port: body.readUInt16BE(2),
    ip: getIp(body, 4),
  }),
  vl3_req: (body) => ({
    op: 'vl3_req',
    ip: getIp(body, 0),
    l3type: body.readUInt32BE(16),
    vnet: body.readUInt32BE(20),
  }),
  vl3_ack: (body) => ({
    op: 'vl3_ack',
    status: body.readUInt32BE(0),
    mac: getMac(body, 4),
    port: body.readUInt16BE(10),
    ip: getIp(body, 12),
  }),
  bulk_req: (body) => ({ op: 'bulk_req', type: body.readUInt32BE(0) }),
  bulk_ack: (body) => ({
    op: 'bulk_ack',
    status: body.readUInt32BE(0),
    type: body.readUInt32BE(4),
  }),
  log_req: (body) => ({
    op: 'log_req',
    count: body.readUInt32BE(0),
    ip: getIp(body, 4),
  }),
  log_ack: decodeLogAck,
  log_rm: decodeLogRm,
  log_rm_ack: (body) => ({
    op: 'log_rm_ack',
    status: body.readUInt32BE(0),
  }),
};

/**
 * Reads a framed message.
 * @throws SvpProtocolError for a version, opcode, size or record that is not
 *   SVP version 1. A PING of any version is read: clients of later versions
 *   ask with it which version they may use (1.5).
 */
export function decodeMessage(frame: SvpFrame): SvpMessage {
  const name = opName(frame.op);
  if (name === undefined) {
    throw new SvpProtocolError('bad_op', `unknown opcode ${frame.op}`);
  }
  if (frame.version !== SVP_VERSION && name !== 'ping') {
    throw new SvpProtocolError('bad_version', `version ${frame.version}`);
  }
  const exact = EXACT_BYTES[name];
  const least = name === 'bulk_ack' ? 8 : 4;
  const size = frame.body.length;
  if (exact !== undefined ? size !== exact : size < least) {
    throw new SvpProtocolError('bad_size', `${name} of ${size} bytes`);
  }
  return DECODERS[name](frame.body);
}
