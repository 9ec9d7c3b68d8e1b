// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The NAT log: its IPFIX as Wireshark reads it, its lines read back, and the
 * question that it is kept for.
 */

import { execFileSync } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import {
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import test from 'tape';
import { parseIpv4 } from '#lib/net/ipv4.js';
import { silentLogger } from '#lib/service/log.js';
import type { NatEvent } from '../../../services/vxlnatd/nat-log/event.js';
import { IpfixEncoder } from '../../../services/vxlnatd/nat-log/ipfix.js';
import {
  formatLine,
  type LoggedEvent,
  parseLine,
} from '../../../services/vxlnatd/nat-log/json-lines.js';
import { NatLog } from '../../../services/vxlnatd/nat-log/nat-log.js';
import { who } from '../../../services/vxlnatd/nat-log/who.js';
import { setUp } from './admin-world.js';

const ZONE = '0a0b0c0d-0000-4000-8000-000000000001';
const NOON = Date.parse('2026-01-01T12:00:00Z');
const ip = (text: string) => parseIpv4(text) as number;

const SESSION: NatEvent = {
  time_ms: NOON,
  event: 'session_create',
  vnet: 7382913,
  proto: 6,
  private_ip: ip('10.0.0.5'),
  private_port: 40000,
  public_ip: ip('3.3.3.2'),
  public_port: 4242,
  public_port_end: 0,
  remote_ip: ip('8.8.8.8'),
  remote_port: 443,
  detail: 0,
  limit: 0,
};
const BLOCK: NatEvent = {
  ...SESSION,
  event: 'block_alloc',
  proto: 0,
  private_port: 0,
  public_port: 2048,
  public_port_end: 2303,
  remote_ip: 0,
  remote_port: 0,
};

/** A capture file with each message as a UDP datagram to port 4739. */
function capture(messages: Buffer[]): string {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(101, 20); // raw IP
  const records = messages.map((message) => {
    const packet = Buffer.alloc(16 + 28);
    packet.writeUInt32LE(28 + message.length, 8);
    packet.writeUInt32LE(28 + message.length, 12);
    const header = Buffer.from('45000000000000004011000001010101020202', 'hex');
    header.copy(packet, 16);
    packet[16 + 19] = 2;
    packet.writeUInt16BE(28 + message.length, 18);
    packet.writeUInt16BE(5000, 36);
    packet.writeUInt16BE(4739, 38);
    packet.writeUInt16BE(8 + message.length, 40);
    return Buffer.concat([packet, message]);
  });
  const file = join(mkdtempSync(join(tmpdir(), 'vxlnat-ipfix-')), 'a.pcap');
  writeFileSync(file, Buffer.concat([header, ...records]));
  return file;
}

function dissect(messages: Buffer[], fields: string[]): string[][] {
  const wanted = fields.flatMap((field) => ['-e', field]);
  const text = execFileSync(
    'tshark',
    ['-r', capture(messages), '-T', 'fields', ...wanted],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] },
  );
  return text
    .replace(/\n$/, '')
    .split('\n')
    .map((line) => line.split('\t'));
}

test('IPFIX: Wireshark reads sessions and blocks as RFC 8158 has them', (t) => {
  const encoder = new IpfixEncoder(0x0a0b0c0d, true);
  const messages = encoder.encode(
    [SESSION, { ...SESSION, event: 'session_delete' }, BLOCK],
    NOON + 1000,
  );
  t.equal(messages.length, 1, 'one message');
  const [row] = dissect(
    messages.map((m) => m.bytes),
    [
      'cflow.version',
      'cflow.od_id',
      'cflow.template_id',
      'cflow.nat_event',
      'cflow.srcaddr',
      'cflow.post_natsource_ipv4_address',
      'cflow.srcport',
      'cflow.post_naptsource_transport_port',
      'cflow.dstaddr',
      'cflow.dstport',
      'cflow.ingress_vrfid',
      '_ws.malformed',
    ],
  );
  t.deepEqual(row, [
    '10',
    String(0x0a0b0c0d),
    '256,257,258,259,260,261,262,263,264,265,266',
    '4,5,16',
    '10.0.0.5,10.0.0.5,10.0.0.5',
    '3.3.3.2,3.3.3.2,3.3.3.2',
    '40000,40000',
    '4242,4242',
    '8.8.8.8,8.8.8.8',
    '443,443',
    '7382913,7382913,7382913',
    '',
  ]);
  t.end();
});

test('IPFIX: each limit has the element of RFC 8158 for it', (t) => {
  const of = (event: 'quota_exceeded' | 'threshold', detail: number) => ({
    ...SESSION,
    event,
    detail,
    limit: 4000 + detail,
  });
  const events = [
    ...[1, 2, 3, 4, 9].map((detail) => of('quota_exceeded', detail)),
    ...[1, 2, 3, 4].map((detail) => of('threshold', detail)),
  ];
  const messages = new IpfixEncoder(1, false).encode(events, NOON);
  t.equal(messages[0]?.events, 8, 'a quota that is not in the RFC is not sent');
  const [row] = dissect(
    messages.map((m) => m.bytes),
    [
      'cflow.nat_event',
      'cflow.nat_quota_exceeded_event',
      'cflow.nat_threshold_event',
      'cflow.max_session_entries',
      'cflow.max_bib_entries',
      'cflow.max_entries_per_user',
      'cflow.max_subscribers',
      'cflow.addresspool_highthreshold',
      'cflow.addresspool_lowthreshold',
      'cflow.addressport_mapping_highthreshold',
      'cflow.addressport_mapping_per_user_highthreshold',
      '_ws.malformed',
    ],
  );
  t.deepEqual(row, [
    '13,13,13,13,18,18,18,18',
    '1,2,3,4',
    '1,2,3,4',
    '4001',
    '4002',
    '4003',
    '4004',
    '4001',
    '4002',
    '4003',
    '4004',
    '',
  ]);
  t.end();
});

test('IPFIX: no destination unless asked for', (t) => {
  const [message] = new IpfixEncoder(1, false).encode([SESSION], NOON);
  const remote = Buffer.from([8, 8, 8, 8]);
  t.notOk(message?.bytes.includes(remote), 'the remote is not in the message');
  t.end();
});

test('IPFIX: many events fill several datagrams, counted without gaps', (t) => {
  const encoder = new IpfixEncoder(1, false);
  const messages = encoder.encode(Array(200).fill(SESSION), NOON);
  t.ok(messages.length > 1, `${messages.length} messages`);
  t.ok(messages.every((m) => m.bytes.length <= 1400));
  let sequence = 0;
  for (const { bytes, events } of messages) {
    t.equal(bytes.readUInt32BE(8), sequence, 'sequence number');
    t.equal(bytes.readUInt16BE(2), bytes.length, 'length');
    sequence += events;
  }
  t.equal(sequence, 200);
  const templates = (at: number) =>
    encoder.encode([SESSION], at)[0]?.bytes.readUInt16BE(16) === 2;
  t.notOk(templates(NOON + 59_999), 'templates are not told again at once');
  t.ok(templates(NOON + 60_000), 'they are after a minute');
  t.deepEqual(encoder.encode([], NOON), [], 'nothing to tell, nothing sent');
  t.end();
});

test('JSON lines: read back what was written', (t) => {
  const line = formatLine(SESSION, ZONE, true);
  t.deepEqual(parseLine(line), { ...SESSION, zone_uuid: ZONE });
  const short = formatLine(SESSION, ZONE, false);
  t.notOk(short.includes('8.8.8.8'), 'no destination unless asked for');
  for (const bad of [line.slice(0, 30), 'null', '{}', '{"time":1}', '']) {
    t.equal(parseLine(bad), null, `not an event: ${bad}`);
  }
  t.end();
});

test('who had 3.3.3.2:4242 at noon', async (t) => {
  const at = (event: Partial<NatEvent>, minutes: number): LoggedEvent => ({
    ...SESSION,
    ...event,
    time_ms: NOON + minutes * 60_000,
    zone_uuid: ZONE,
  });
  const other = { private_ip: ip('10.0.0.9') };
  const log = [
    at({ event: 'session_delete', private_ip: ip('10.0.0.7') }, -9),
    at({}, -5),
    at({ remote_ip: ip('9.9.9.9'), ...other }, -4),
    at({ event: 'session_delete' }, 1),
    at({ private_ip: ip('10.0.0.8') }, 2),
    at({ event: 'session_delete', private_ip: ip('10.0.0.8') }, 3),
    at({ event: 'session_delete', private_ip: ip('10.0.0.6'), vnet: 9 }, 4),
    at({ public_port: 4243, private_ip: ip('10.0.0.4') }, -3),
  ];
  const asked = { public_ip: ip('3.3.3.2'), public_port: 4242, at_ms: NOON };
  const found = (await who(log, asked)).map((a) => [
    a.vnet,
    a.private_ip & 0xff,
    a.from_ms === null ? null : (a.from_ms - NOON) / 60_000,
    a.until_ms === null ? null : (a.until_ms - NOON) / 60_000,
  ]);
  t.deepEqual(found, [
    [7382913, 5, -5, 1],
    [9, 6, null, 4],
    [7382913, 9, -4, null],
  ]);
  const narrow = await who(log, { ...asked, remote_ip: ip('9.9.9.9') });
  t.deepEqual(
    narrow.map((a) => a.private_ip & 0xff),
    [9],
    'the remote narrows the answer',
  );
  const block = [at(BLOCK, -60)];
  const inBlock = await who(block, { ...asked, public_port: 2303 });
  t.equal(inBlock.length, 1, 'a block answers for its last port');
  const behind = await who(block, { ...asked, public_port: 2304 });
  t.equal(behind.length, 0, 'and not for the one behind it');
  t.end();
});

test('vxlnatadm who answers from the log', async (t) => {
  const { adm, files } = await setUp(t);
  const end = { ...SESSION, event: 'session_delete', time_ms: NOON + 60_000 };
  const lines = [SESSION, end as NatEvent].map((e) =>
    formatLine(e, ZONE, true),
  );
  files.set('nat.log', [Buffer.from(lines.join(''))]);
  const at = (time: string) =>
    adm('who', '3.3.3.2:4242', '--at', time, '--log', 'nat.log');
  const found = await at('2026-01-01T12:00:30Z');
  t.equal(found.status, 0);
  t.ok(/7382913 +10\.0\.0\.5:40000 +tcp +8\.8\.8\.8:443/.test(found.stdout));
  const nobody = await at('2026-01-01T12:01:30Z');
  t.equal(nobody.status, 1, 'nobody had it a minute later');
  for (const args of [
    ['who'],
    ['who', '3.3.3.2'],
    ['who', '3.3.3.2:0', '--at', '2026-01-01', '--log', 'nat.log'],
    ['who', '3.3.3.2:4242', '--at', 'noon', '--log', 'nat.log'],
    ['who', '3.3.3.2:4242', '--at', '2026-01-01'],
  ]) {
    const { status, stderr } = await adm(...args);
    t.equal(status, 2, stderr.trim());
  }
  t.end();
});

test('the log goes to a collector and to a file that may be rotated', async (t) => {
  const collector = createSocket('udp4');
  collector.bind(0, '127.0.0.1');
  await once(collector, 'listening');
  const file = join(mkdtempSync(join(tmpdir(), 'vxlnat-log-')), 'nat.log');
  const log = new NatLog(
    {
      ipfix: `127.0.0.1:${collector.address().port}`,
      file,
      remotes: false,
    },
    ZONE,
    silentLogger(),
  );
  const received = once(collector, 'message');
  log.write([SESSION]);
  const [message] = (await received) as [Buffer];
  t.equal(message.readUInt16BE(0), 10, 'an IPFIX message came');
  while (!existsSync(file) || statSync(file).size === 0) await sleep(5);
  renameSync(file, `${file}.1`);
  log.reopen();
  log.write([BLOCK]);
  await log.close();
  t.equal(readFileSync(`${file}.1`, 'utf8').split('\n').length, 2);
  t.ok(readFileSync(file, 'utf8').includes('block_alloc'));
  t.deepEqual(log.stats, { events: 2, lost: 0 });
  collector.close();
  t.end();
});
