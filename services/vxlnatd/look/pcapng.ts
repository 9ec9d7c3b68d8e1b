// This Source Code Form is subject to the terms of the Mozilla Public
// License, v. 2.0. If a copy of the MPL was not distributed with this
// file, You can obtain one at https://mozilla.org/MPL/2.0/.

/**
 * Copies of packets as a pcapng file (draft-ietf-opsawg-pcapng): one section,
 * one Ethernet interface for each point at which the engine copies, and for
 * each packet an enhanced packet block whose comment says what became of it.
 * Little-endian, times in milliseconds, as the engine's clock is.
 */

/** Points in the order of the engine's `Point` (engine/inspect.h). */
export const POINTS = ['outer', 'inner', 'translated', 'drop'] as const;
export type Point = (typeof POINTS)[number];

const WHAT: Readonly<Record<Point, string>> = {
  outer: 'VXLAN datagrams on the underlay',
  inner: 'frames in the fabrics',
  translated: 'packets as the Internet sees them',
  drop: 'packets as they were when they were dropped',
};

const SECTION = 0x0a0d0d0a;
const INTERFACE = 1;
const ENHANCED_PACKET = 6;
const ETHERNET = 1;
const HEAD = 32;
const NO_DROP = 0xff;

const COMMENT = 1;
const SHB_USERAPPL = 4;
const IF_NAME = 2;
const IF_DESCRIPTION = 3;
const IF_TSRESOL = 9;
const EPB_FLAGS = 2;

function padded(bytes: Uint8Array): Buffer {
  const whole = Buffer.alloc(Math.ceil(bytes.length / 4) * 4);
  whole.set(bytes);
  return whole;
}

function option(code: number, value: Uint8Array): Buffer {
  const head = Buffer.alloc(4);
  head.writeUInt16LE(code, 0);
  head.writeUInt16LE(value.length, 2);
  return Buffer.concat([head, padded(value)]);
}

function words(...values: number[]): Buffer {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => {
    bytes.writeUInt32LE(value, i * 4);
  });
  return bytes;
}

function block(type: number, ...parts: Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const length = body.length + 12;
  return Buffer.concat([words(type, length), body, words(length)]);
}

const text = (value: string) => Buffer.from(value, 'utf8');
const END = words(0);

/**
 * What a file begins with.
 * @param snap bytes of a packet that are copied
 */
export function pcapngHeader(snap: number): Buffer {
  const section = block(
    SECTION,
    words(0x1a2b3c4d, 1, 0xffffffff, 0xffffffff),
    option(SHB_USERAPPL, text('vxlnatd')),
    END,
  );
  const interfaces = POINTS.map((point) =>
    block(
      INTERFACE,
      words(ETHERNET, snap),
      option(IF_NAME, text(point)),
      option(IF_DESCRIPTION, text(WHAT[point])),
      option(IF_TSRESOL, Uint8Array.of(3)),
      END,
    ),
  );
  return Buffer.concat([section, ...interfaces]);
}

/** A drop reason as `drops()` gives it. */
export interface Reason {
  name: string;
  sentence: string;
}

/**
 * Turns what a tap gave into packet blocks.
 * @param data FrameHeads of the engine with their bytes
 * @param clockOffset what makes the engine's milliseconds those since 1970
 * @param reasons drop reasons in the engine's order
 */
export function pcapngPackets(
  data: ArrayBuffer,
  clockOffset: number,
  reasons: readonly Reason[],
): Buffer {
  const bytes = Buffer.from(data);
  const blocks: Buffer[] = [];
  for (let at = 0; at + HEAD <= bytes.length; ) {
    const length = bytes.readUInt32LE(at + 8);
    const time = Number(bytes.readBigUInt64LE(at)) + clockOffset;
    const reason = reasons[bytes[at + 26] ?? NO_DROP];
    const comment =
      `packet ${bytes.readUInt32LE(at + 16)}, ` +
      `vnet ${bytes.readUInt32LE(at + 20)}` +
      (reason === undefined ? '' : `, ${reason.name}: ${reason.sentence}`);
    blocks.push(
      block(
        ENHANCED_PACKET,
        words(
          bytes[at + 24] as number,
          Math.floor(time / 2 ** 32),
          time % 2 ** 32,
          length,
          bytes.readUInt32LE(at + 12),
        ),
        padded(bytes.subarray(at + HEAD, at + HEAD + length)),
        option(COMMENT, text(comment)),
        // Outbound is out of the fabric: 2; inbound: 1.
        option(EPB_FLAGS, words(bytes[at + 25] === 1 ? 2 : 1)),
        END,
      ),
    );
    at += HEAD + Math.ceil(length / 8) * 8;
  }
  return Buffer.concat(blocks);
}
