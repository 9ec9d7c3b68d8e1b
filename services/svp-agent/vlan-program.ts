// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * The 802.1Q tag inside VXLAN, as two small BPF programs for the tc hooks of a
 * VXLAN device, written out as the object file that `tc` loads. Pure: VLAN id
 * in, bytes out.
 *
 * Why programs: the kernel's ARP proxy answers untagged ARP only, so the tag
 * must be pushed after the bridge and before the encapsulation, on everything
 * but an ARP request. A VLAN device would hide the requests from the proxy,
 * and not every kernel has one. Inside is what a node with overlay(7D) sends
 * and expects (facts: svp-portolan-vxlnat 3.1).
 *
 *   out  bridge -> [ARP request? leave it : push VLAN] -> VXLAN
 *   in   VXLAN -> [our VLAN? pop : untagged ARP? leave it : drop] -> bridge
 *
 * The proxy's own answers come in untagged; that is the second case of `in`.
 * Little-endian machines only, as the object file says.
 */

const ARP = 0x0608;
const DOT1Q = 0x0081;
/** Offsets in `struct __sk_buff`. */
const SKB_PROTOCOL = 16;
const SKB_VLAN_PRESENT = 20;
const SKB_VLAN_TCI = 24;
/** ARP operation: 14 bytes of Ethernet, 6 into ARP (RFC 826). */
const ARP_OP_AT = 20;
const CALL_VLAN_PUSH = 18;
const CALL_VLAN_POP = 19;
const PASS = 0;
const DROP = 2;

type Instruction = readonly [
  code: number,
  dst: number,
  src: number,
  offset: number,
  imm: number,
];

const copy = (dst: number, src: number): Instruction => [0xbf, dst, src, 0, 0];
const set = (dst: number, imm: number): Instruction => [0xb7, dst, 0, 0, imm];
const load = (dst: number, src: number, at: number): Instruction => [
  0x61,
  dst,
  src,
  at,
  0,
];
const loadPacket16 = (at: number): Instruction => [0x28, 0, 0, 0, at];
const and = (dst: number, imm: number): Instruction => [0x57, dst, 0, 0, imm];
const skipIf = (dst: number, imm: number, over: number): Instruction => [
  0x15,
  dst,
  0,
  over,
  imm,
];
const skipUnless = (dst: number, imm: number, over: number): Instruction => [
  0x55,
  dst,
  0,
  over,
  imm,
];
const call = (helper: number): Instruction => [0x85, 0, 0, 0, helper];
const exit: Instruction = [0x95, 0, 0, 0, 0];

function assemble(program: Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, dst, src, offset, imm], i) => {
    bytes.writeUInt8(code, i * 8);
    bytes.writeUInt8(dst | (src << 4), i * 8 + 1);
    bytes.writeInt16LE(offset, i * 8 + 2);
    bytes.writeInt32LE(imm, i * 8 + 4);
  });
  return bytes;
}

function pushProgram(vlan: number): Buffer {
  return assemble([
    copy(6, 1),
    load(2, 6, SKB_PROTOCOL),
    skipUnless(2, ARP, 2),
    loadPacket16(ARP_OP_AT),
    skipIf(0, 1, 5),
    copy(1, 6),
    set(2, DOT1Q),
    set(3, vlan),
    call(CALL_VLAN_PUSH),
    skipUnless(0, 0, 2),
    set(0, PASS),
    exit,
    set(0, DROP),
    exit,
  ]);
}

function popProgram(vlan: number): Buffer {
  return assemble([
    copy(6, 1),
    load(2, 6, SKB_VLAN_PRESENT),
    skipIf(2, 0, 7),
    load(3, 6, SKB_VLAN_TCI),
    and(3, 0xfff),
    skipUnless(3, vlan, 8),
    copy(1, 6),
    call(CALL_VLAN_POP),
    set(0, PASS),
    exit,
    load(2, 6, SKB_PROTOCOL),
    skipUnless(2, ARP, 2),
    set(0, PASS),
    exit,
    set(0, DROP),
    exit,
  ]);
}

const ELF_HEADER = 64;
const SECTION_HEADER = 64;
const SYMBOL = 24;
const EM_BPF = 247;
const PROGBITS = 1;
const SYMTAB = 2;
const STRTAB = 3;
const CODE_FLAGS = 6;

interface Section {
  name: string;
  type: number;
  flags: number;
  link: number;
  info: number;
  entry: number;
  content: Buffer;
}

function section(
  name: string,
  type: number,
  content: Buffer,
  more: Partial<Section> = {},
): Section {
  const plain = { flags: 0, link: 0, info: 0, entry: 0 };
  return { name, type, content, ...plain, ...more };
}

/** Names at known offsets in a string table. */
function stringTable(names: string[]): {
  bytes: Buffer;
  at: (name: string) => number;
} {
  const bytes = Buffer.from(`\0${names.join('\0')}\0`);
  return { bytes, at: (name) => bytes.indexOf(`\0${name}\0`) + 1 };
}

function elfHeader(sections: number, strings: number, at: number): Buffer {
  const header = Buffer.alloc(ELF_HEADER);
  header.write('7f454c46020101', 'hex');
  header.writeUInt16LE(1, 16);
  header.writeUInt16LE(EM_BPF, 18);
  header.writeUInt32LE(1, 20);
  header.writeBigUInt64LE(BigInt(at), 40);
  header.writeUInt16LE(ELF_HEADER, 52);
  header.writeUInt16LE(SECTION_HEADER, 58);
  header.writeUInt16LE(sections, 60);
  header.writeUInt16LE(strings, 62);
  return header;
}

function elf(sections: Section[], nameAt: (name: string) => number): Buffer {
  const parts: Buffer[] = [];
  const headers: Buffer[] = [Buffer.alloc(SECTION_HEADER)];
  let at = ELF_HEADER;
  for (const one of sections) {
    const padded = Math.ceil(one.content.length / 8) * 8;
    const header = Buffer.alloc(SECTION_HEADER);
    header.writeUInt32LE(nameAt(one.name), 0);
    header.writeUInt32LE(one.type, 4);
    header.writeBigUInt64LE(BigInt(one.flags), 8);
    header.writeBigUInt64LE(BigInt(at), 24);
    header.writeBigUInt64LE(BigInt(one.content.length), 32);
    header.writeUInt32LE(one.link, 40);
    header.writeUInt32LE(one.info, 44);
    header.writeBigUInt64LE(8n, 48);
    header.writeBigUInt64LE(BigInt(one.entry), 56);
    headers.push(header);
    parts.push(one.content, Buffer.alloc(padded - one.content.length));
    at += padded;
  }
  const count = sections.length + 1;
  return Buffer.concat([elfHeader(count, count - 1, at), ...parts, ...headers]);
}

function symbol(name: number, where: number, size: number): Buffer {
  const bytes = Buffer.alloc(SYMBOL);
  bytes.writeUInt32LE(name, 0);
  // A global function.
  bytes.writeUInt8(0x12, 4);
  bytes.writeUInt16LE(where, 6);
  bytes.writeBigUInt64LE(BigInt(size), 16);
  return bytes;
}

/** Section names to give to `tc filter ... bpf direct-action section NAME`. */
export const VLAN_SECTIONS = {
  egress: 'classifier/push',
  ingress: 'classifier/pop',
} as const;

/**
 * The object file with both programs.
 * @param vlan 1 .. 4094
 */
export function vlanObject(vlan: number): Buffer {
  const push = pushProgram(vlan);
  const pop = popProgram(vlan);
  const { egress, ingress } = VLAN_SECTIONS;
  const strings = stringTable([
    egress,
    ingress,
    'license',
    '.symtab',
    '.strtab',
    'push_vlan',
    'pop_vlan',
  ]);
  const symbols = Buffer.concat([
    Buffer.alloc(SYMBOL),
    symbol(strings.at('push_vlan'), 1, push.length),
    symbol(strings.at('pop_vlan'), 2, pop.length),
  ]);
  return elf(
    [
      section(egress, PROGBITS, push, { flags: CODE_FLAGS }),
      section(ingress, PROGBITS, pop, { flags: CODE_FLAGS }),
      section('license', PROGBITS, Buffer.from('MPL-2.0\0')),
      section('.symtab', SYMTAB, symbols, { link: 5, info: 1, entry: SYMBOL }),
      section('.strtab', STRTAB, strings.bytes),
    ],
    strings.at,
  );
}
