// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * What would break: a compute node that speaks SVP could not read us, or we it.
 * The vectors are those of facts: svp-portolan-vxlnat 1.9.
 */

import test from 'tape';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { parseMac } from '#lib/net/mac.js';
import { decodeMessage, encodeMessage } from '#lib/svp/codec.js';
import { createFramer } from '#lib/svp/framer.js';
import { type SvpMessage, SvpProtocolError } from '#lib/svp/messages.js';

const ip = (text: string) =>
  parseIpv4(text) as NonNullable<ReturnType<typeof parseIpv4>>;
const mac = parseMac('90:b8:d0:d6:26:6e') as NonNullable<
  ReturnType<typeof parseMac>
>;
const vnet = 7757106;
const id = 'de305d54-75b4-431b-adb2-eb6b9e546014';
const ul3 = '00000000000000000000ffffc0a80c06';

const vectors: [string, number, SvpMessage, string][] = [
  ['PING', 1, { op: 'ping' }, '000100010000000000000001b5b66088'],
  ['PONG', 1, { op: 'pong' }, '000100020000000000000001087c0c46'],
  [
    'VL2_REQ',
    3,
    { op: 'vl2_req', mac, vnet },
    '000100030000000c000000037d351c8090b8d0d6266e000000765d32',
  ],
  [
    'VL2_ACK OK',
    3,
    { op: 'vl2_ack', status: 0, ip: ip('192.168.12.6'), port: 4789 },
    `0001000400000014000000030c5e6089000012b5${ul3}`,
  ],
  [
    'VL2_ACK NOTFOUND',
    3,
    { op: 'vl2_ack', status: 2, ip: null, port: 0 },
    `000100040000001400000003ee1db9a700020000${'00'.repeat(16)}`,
  ],
  [
    'VL3_REQ',
    2,
    { op: 'vl3_req', ip: ip('10.4.5.1'), l3type: 1, vnet },
    `00010005000000180000000239e3284300000000000000000000ffff0a0405010000000100765d32`,
  ],
  [
    'VL3_ACK OK',
    2,
    { op: 'vl3_ack', status: 0, mac, ip: ip('192.168.12.6'), port: 4789 },
    `000100060000001c00000002fe977f270000000090b8d0d6266e12b5${ul3}`,
  ],
  [
    'LOG_REQ',
    4,
    { op: 'log_req', count: 1024, ip: ip('192.168.12.1') },
    '0001000900000014000000048ab8371a0000040000000000000000000000ffffc0a80c01',
  ],
  [
    'LOG_ACK of one VL2 record',
    4,
    {
      op: 'log_ack',
      status: 0,
      records: [{ type: 'vl2', id, mac, vnet }],
    },
    '0001000a0000002400000004444a05960000000000000001' +
      'de305d5475b4431badb2eb6b9e54601490b8d0d6266e000000765d32',
  ],
  [
    'LOG_RM of one id',
    5,
    { op: 'log_rm', ids: [id] },
    '0001000b0000001400000005eec2ca7a00000001de305d5475b4431badb2eb6b9e546014',
  ],
  [
    'LOG_RM_ACK',
    5,
    { op: 'log_rm_ack', status: 0 },
    '0001000c0000000400000005c7015c5d00000000',
  ],
];

function problem(bytes: Buffer): string {
  try {
    for (const frame of createFramer(1024).push(bytes)) decodeMessage(frame);
  } catch (error) {
    if (error instanceof SvpProtocolError) return error.code;
    throw error;
  }
  return 'none';
}

test('every test vector is written and read byte for byte', (t) => {
  for (const [name, requestId, message, hex] of vectors) {
    t.equal(encodeMessage(requestId, message).toString('hex'), hex, name);
    const [frame, ...more] = createFramer().push(Buffer.from(hex, 'hex'));
    t.equal(more.length, 0, `${name}: one frame`);
    t.ok(frame, `${name}: framed`);
    if (frame === undefined) continue;
    t.equal(frame.id, requestId, `${name}: id`);
    t.deepEqual(decodeMessage(frame), message, `${name}: read back`);
  }
  t.end();
});

test('a PING of version 2 is read, any other message of it is not', (t) => {
  const ping = Buffer.from('000200010000000000000001a4cb0af1', 'hex');
  t.equal(problem(ping), 'none');
  t.equal(problem(encodeMessage(1, { op: 'pong' }, 2)), 'bad_version');
  t.equal(problem(encodeMessage(1, { op: 'ping' }, 0)), 'bad_version');
  t.end();
});

test('VL3 records keep VLAN, address and order', (t) => {
  const message: SvpMessage = {
    op: 'log_ack',
    status: 0,
    records: [
      { type: 'vl3', id, ip: ip('10.4.5.1'), vlan: 2, vnet },
      { type: 'vl2', id, mac, vnet },
      { type: 'vl3', id, ip: ip('10.4.5.2'), vlan: 4094, vnet: 0xffffff },
    ],
  };
  const bytes = encodeMessage(9, message);
  t.equal(bytes.length, 16 + 4 + 44 + 32 + 44);
  const [frame] = createFramer().push(bytes);
  t.deepEqual(frame && decodeMessage(frame), message);
  t.end();
});

test('bytes that are not SVP are refused with their reason', (t) => {
  const good = encodeMessage(7, { op: 'vl2_req', mac, vnet });
  const broken = Buffer.from(good);
  broken.writeUInt8(broken.readUInt8(20) ^ 1, 20);
  t.equal(problem(broken), 'bad_crc');
  const huge = Buffer.from(good);
  huge.writeUInt32BE(1025, 4);
  t.equal(problem(huge), 'bad_size', 'before any body is awaited');
  t.equal(problem(Buffer.from('GET / HTTP/1.1\r\n\r\n')), 'bad_size');

  const frame = (op: number, body: string) => ({
    version: 1,
    op,
    id: 1,
    body: Buffer.from(body, 'hex'),
  });
  const cases: [string, number, string, string][] = [
    ['unknown opcode', 99, '', 'bad_op'],
    ['SHOOTDOWN', 13, '00'.repeat(12), 'bad_op'],
    ['short VL2_REQ', 3, '00'.repeat(11), 'bad_size'],
    ['long PING', 1, '00', 'bad_size'],
    ['LOG_RM that counts more than it has', 11, '00000002', 'bad_size'],
    ['LOG_ACK with half a record', 10, `00000000${'00'.repeat(9)}`, 'bad_body'],
    [
      'LOG_ACK with a route record',
      10,
      `00000000${'00000003'.padEnd(144, '0')}`,
      'bad_body',
    ],
  ];
  for (const [name, op, body, code] of cases) {
    try {
      decodeMessage(frame(op, body));
      t.fail(name);
    } catch (error) {
      t.equal((error as SvpProtocolError).code, code, name);
    }
  }
  t.end();
});

test('frames are found however the stream is cut', (t) => {
  const stream = Buffer.concat(
    vectors.map(([, requestId, message]) => encodeMessage(requestId, message)),
  );
  for (const size of [1, 2, 3, 7, 16, 17, 100, stream.length]) {
    const framer = createFramer();
    const seen: SvpMessage[] = [];
    for (let at = 0; at < stream.length; at += size) {
      const frames = framer.push(stream.subarray(at, at + size));
      seen.push(...frames.map(decodeMessage));
    }
    t.deepEqual(
      seen,
      vectors.map(([, , message]) => message),
      `chunks of ${size}`,
    );
    t.equal(framer.pending(), 0);
  }
  t.end();
});
