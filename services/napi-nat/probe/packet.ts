// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The probe as bytes: a BFD control packet (RFC 5880 section 4.1, used as in
 * Seamless BFD, RFC 7880, UDP port 7784 of RFC 7881) inside VXLAN on a vnet
 * kept for management. The engine reflects it with the inner addresses and
 * ports swapped and the State field set to Up.
 *
 *   VXLAN 8 | Ethernet 14 | IPv4 20 | UDP 8 | BFD 24
 *
 * "My discriminator" names the probed zone's session, "Your discriminator" is
 * the sequence number, so a reply proves which probe it answers.
 */

import type { Ipv4 } from '#lib/net/ipv4.js';

/** Whole length of a probe and of its reflection. */
export const PROBE_LENGTH = 74;
/** UDP port of an S-BFD reflector (RFC 7881 section 3). */
export const SBFD_PORT = 7784;

const VXLAN = 0;
const ETHER = 8;
const IP = 22;
const UDP = 42;
const BFD = 50;
const IP_LENGTH = PROBE_LENGTH - IP;

/** Locally administered, so that no NIC can have them. */
const PROBER_MAC = Buffer.from('020000000001', 'hex');
const REFLECTOR_MAC = Buffer.from('020000000002', 'hex');
/** Inner addresses: loopback range, which no fabric can contain. */
const PROBER_IP = 0x7f000001 as Ipv4;
const REFLECTOR_IP = 0x7f000002 as Ipv4;

/** BFD State field (RFC 5880 section 4.1), in the top two bits. */
const STATE_DOWN = 1;
const STATE_UP = 3;
const DEMAND_BIT = 0x02;

/** What tells one probe from another. */
export interface ProbeId {
  /** Random for each zone and process start, never 0. */
  session: number;
  /** Rises with each probe, modulo 2^32. */
  sequence: number;
}

/** One's complement sum of 16-bit words (RFC 1071). */
export function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let i = 0; i + 1 < bytes.length; i += 2) sum += bytes.readUInt16BE(i);
  if (bytes.length % 2 === 1) sum += (bytes.at(-1) as number) << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/**
 * The payload of the UDP datagram to a zone's UL3.
 * @param vnet the management vnet
 * @param sourcePort inner source port
 * @param interval microseconds, for the BFD interval fields
 */
export function encodeProbe(
  vnet: number,
  id: ProbeId,
  sourcePort: number,
  interval: number,
): Buffer {
  const packet = Buffer.alloc(PROBE_LENGTH);
  packet.writeUInt8(0x08, VXLAN);
  packet.writeUInt32BE((vnet << 8) >>> 0, VXLAN + 4);
  REFLECTOR_MAC.copy(packet, ETHER);
  PROBER_MAC.copy(packet, ETHER + 6);
  packet.writeUInt16BE(0x0800, ETHER + 12);
  packet.writeUInt8(0x45, IP);
  packet.writeUInt16BE(IP_LENGTH, IP + 2);
  packet.writeUInt16BE(0x4000, IP + 6);
  // RFC 5881 section 5: BFD packets travel with TTL 255.
  packet.writeUInt8(255, IP + 8);
  packet.writeUInt8(17, IP + 9);
  packet.writeUInt32BE(PROBER_IP, IP + 12);
  packet.writeUInt32BE(REFLECTOR_IP, IP + 16);
  packet.writeUInt16BE(checksum(packet.subarray(IP, UDP)), IP + 10);
  packet.writeUInt16BE(sourcePort, UDP);
  packet.writeUInt16BE(SBFD_PORT, UDP + 2);
  packet.writeUInt16BE(PROBE_LENGTH - UDP, UDP + 4);
  writeControl(packet, id, interval);
  return packet;
}

/** The 24 bytes of RFC 5880 section 4.1. */
function writeControl(packet: Buffer, id: ProbeId, interval: number): void {
  packet.writeUInt8(1 << 5, BFD);
  packet.writeUInt8((STATE_DOWN << 6) | DEMAND_BIT, BFD + 1);
  packet.writeUInt8(3, BFD + 2);
  packet.writeUInt8(24, BFD + 3);
  packet.writeUInt32BE(id.session, BFD + 4);
  packet.writeUInt32BE(id.sequence, BFD + 8);
  packet.writeUInt32BE(interval, BFD + 12);
}

/**
 * Reads a reflection. A reflector may swap the discriminators, as RFC 7880
 * section 7.2.2 says, or leave them: the session's own numbers tell.
 * @param session what this zone's probes carry
 * @param vnet the management vnet
 * @returns the sequence number it answers, or null when it is no answer to
 *   this session
 */
export function decodeReflection(
  packet: Buffer,
  vnet: number,
  session: number,
): number | null {
  if (packet.length < PROBE_LENGTH) return null;
  if ((packet.readUInt8(VXLAN) & 0x08) === 0) return null;
  if (packet.readUInt32BE(VXLAN + 4) >>> 8 !== vnet) return null;
  if (packet.readUInt16BE(ETHER + 12) !== 0x0800) return null;
  if (packet.readUInt8(IP) !== 0x45 || packet.readUInt8(IP + 9) !== 17) {
    return null;
  }
  if (packet.readUInt16BE(UDP) !== SBFD_PORT) return null;
  if (packet.readUInt8(BFD) >>> 5 !== 1 || packet.readUInt8(BFD + 3) !== 24) {
    return null;
  }
  if (packet.readUInt8(BFD + 1) >>> 6 !== STATE_UP) return null;
  const mine = packet.readUInt32BE(BFD + 4);
  const yours = packet.readUInt32BE(BFD + 8);
  if (mine === session) return yours;
  return yours === session ? mine : null;
}
